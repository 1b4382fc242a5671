r"""Penalties on weights (never on biases): strength * sum_ij value(w_ij) is added to the loss.

The strength does not depend on the number of rows in a batch, unless a caller asks for
scikit-learn's convention, which divides it by the batch size.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.equation import Function, Row, Table, absolute, sign


@dataclass(frozen=True)
class Penalty(Row):
    """A penalty: ``value(w)`` and ``slope(w)``, entry by entry."""

    value: Function = lambda w: w
    slope: Function = lambda w: w


PENALTIES: Table[Penalty] = Table("penalty", Penalty)
penalty = PENALTIES.define


@penalty(
    latex=r"\tfrac{1}{2} w^2",
    slope_latex=r"w",
    source="Hoerl & Kennard 1970, Technometrics 12; Krogh & Hertz 1991, NIPS 4",
)
class l2:
    """Weight decay by the squared norm: keeps weights small."""

    def value(w):
        return w * w / 2

    def slope(w):
        return w


@penalty(
    latex=r"|w|",
    slope_latex=r"\mathrm{sign}(w)",
    source="Tibshirani 1996, J. R. Stat. Soc. B 58",
)
class l1:
    """The absolute values: drives weights to zero."""

    def value(w):
        return absolute(w)

    def slope(w):
        return sign(w)
