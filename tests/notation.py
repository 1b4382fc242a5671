"""Reads a formula with its numbers, as a trace prints it, and works it out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pytest

from chainrule.trace_equation import Equation

TOKEN = re.compile(r"\d[\d.]*(?:e[+−]\d+)?|[A-Za-zα-ωΦ]+|\S")
FUNCTIONS = {
    "log": math.log, "tanh": math.tanh, "cosh": math.cosh, "cos": math.cos, "sin": math.sin,
    "max": max, "min": min, "√": math.sqrt,
    "σ": lambda z: 1 / (1 + math.exp(-z)), "Φ": lambda z: math.erfc(-z / math.sqrt(2)) / 2,
    "φ": lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi), "sign": lambda z: (z > 0) - (z < 0),
}  # fmt: skip
COMPARISONS = {">": float.__gt__, "≤": float.__le__}
ENDS = (None, "+", "−", ")", "|", "]", ",", "if", "else", *COMPARISONS)  # of a product


def worked_out(text: str) -> float:
    """The value of a formula; what it says after a comma, "d = ...", stands for a letter of it."""
    head, _, tail = text.rpartition(", ")
    if head and re.fullmatch(r"\w = .*", tail):
        letter, _, right = tail.partition(" = ")
        return Reader(head, {letter: worked_out(right)}).whole()
    return Reader(text.partition(" = ")[0], {}).whole()


def numbers_that_come_out(equations: Iterable[Equation]) -> int:
    """How many equations have numbers put in; each of these must come to the equation's value."""
    count = 0
    for equation in equations:
        if not equation.numbers or "Σ" in equation.numbers:
            continue
        count += 1
        came = worked_out(equation.numbers)
        assert came == pytest.approx(equation.value, rel=1e-9, abs=1e-12), equation
    return count


class Reader:
    """A recursive descent over the tokens of a formula."""

    def __init__(self, text, letters):
        self.tokens, self.place = TOKEN.findall(text), 0
        self.letters = {"e": math.e, "π": math.pi, **letters}

    def whole(self):
        value = self.choice()
        assert self.next is None, f"{self.next} is left over of {self.tokens}"
        return value

    @property
    def next(self):
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def take(self, *expected):
        token = self.next
        assert not expected or token in expected, f"{token} in place of {expected} in {self.tokens}"
        self.place += 1
        return token

    def choice(self):
        value = self.sum()
        if self.next != "if":
            return value
        self.take("if")
        holds = self.comparison()
        self.take("else")
        other = self.sum()
        return value if holds else other

    def comparison(self):
        left = self.sum()
        return COMPARISONS[self.take()](float(left), float(self.sum()))

    def sum(self):
        value = -self.product() if self.next == "−" and self.take() else self.product()
        while self.next in ("+", "−"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        value = self.power()
        while self.next not in ENDS:
            if self.next == "/":
                self.take()
                value /= self.power()
                continue
            if self.next == "·":
                self.take()
            value *= self.power()
        return value

    def power(self):
        value = self.atom()
        if self.next == "^":
            self.take()
            value **= self.atom()
        return value

    def atom(self):
        token = self.take()
        if token in FUNCTIONS:
            return FUNCTIONS[token](*self.bracketed()) if self.next == "(" else FUNCTIONS[token](self.power())
        if token in "(|":
            self.place -= 1
            (value,) = self.bracketed()
            return abs(value) if token == "|" else value
        if token == "[":
            holds = self.comparison()
            self.take("]")
            return float(holds)
        return self.letters[token] if token in self.letters else float(token.replace("−", "-"))

    def bracketed(self):
        close = {"(": ")", "|": "|"}[self.take()]
        values = [self.choice()]
        while self.next == ",":
            self.take()
            values.append(self.choice())
        self.take(close)
        return values
