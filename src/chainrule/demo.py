"""A demonstration on real data, and one row's way through the network, equation by equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.parameters import Array, Layout
from chainrule.spec import Network
from chainrule.table_model import TableModel

SHOWN = 4  # so many terms of a sum are shown, the largest ones


@dataclass(frozen=True)
class Term:
    """One product of a unit's sum.

    Attributes
    ----------
    name : str
        What is multiplied: a feature, or a unit of the layer before.
    weight, value : float
        The factors.
    """

    name: str
    weight: float
    value: float

    @property
    def product(self) -> float:
        """Weight times value."""
        return self.weight * self.value


@dataclass(frozen=True)
class UnitEquation:
    """What one unit computes for one row: z = w·x + b and a = f(z).

    Attributes
    ----------
    title : str
        Where the unit is.
    terms : tuple of Term
        The largest products of w·x.
    others : int
        How many products are left out,
    rest : float
        and what they sum up to.
    bias, z, a : float
    function : str
        The name of f.
    """

    title: str
    terms: tuple[Term, ...]
    others: int
    rest: float
    bias: float
    z: float
    function: str
    a: float

    def lines(self) -> list[str]:
        """The equation as aligned text."""
        rows = [
            (f"{term.weight:9.4f} × {term.value:9.4f}", f"{term.product:9.4f}", term.name)
            for term in self.terms
        ]
        if self.others:
            rows.append(("", f"{self.rest:9.4f}", f"the sum of {self.others} smaller terms"))
        rows.append(("", f"{self.bias:9.4f}", "bias"))
        sums = [(f"{left:>21}", "=" if left else "+", value, name) for left, value, name in rows]
        return [
            self.title,
            *(f"  {left} {sign} {value}  {name}" for left, sign, value, name in sums),
            f"  {'z':>21} = {self.z:9.4f}",
            f"  {f'a = {self.function}(z)':>21} = {self.a:9.4f}",
        ]


def forward_equations(
    network: Network, theta: Array, x: Array, names: Sequence[str], output: int = 0
) -> list[UnitEquation]:
    """The equations of one unit of each layer, along the way that moves an output most.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (parameters,)
    x : ndarray of shape (inputs,)
        One row.
    names : sequence of str
        What the inputs are called.
    output : int
        The output whose way is followed down.

    Returns
    -------
    list of UnitEquation
        From the first layer to the last.
    """
    run = reference.forward(network, theta, x[None, :])
    unit, equations = output, []
    for index in reversed(range(len(network.layers))):
        before = names if index == 0 else _unit_names(network, index - 1)
        equation, unit = _equation(network, theta, run, index, unit, before)
        equations.append(equation)
    return equations[::-1]


def _equation(
    network: Network,
    theta: Array,
    run: reference.Pass,
    index: int,
    unit: int,
    before: Sequence[str],
) -> tuple[UnitEquation, int]:
    """The equation of a unit, and which of its inputs moves it most."""
    layout, last = Layout(network), index == len(network.layers) - 1
    w, value = layout.view(theta, index, "W")[:, unit], run.input_of(index)[0]
    products = w * value
    order = np.argsort(-np.abs(products), kind="stable")
    count = min(SHOWN, np.count_nonzero(products))
    shown, hidden = order[:count], order[count:]
    A = reference.predict(network, run.Z[index]) if last else run.A[index]
    equation = UnitEquation(
        title="Output" if last else _unit_names(network, index)[unit].capitalize(),
        terms=tuple(Term(before[i], float(w[i]), float(value[i])) for i in shown),
        others=len(hidden),
        rest=float(products[hidden].sum()),
        bias=float(layout.view(theta, index, "b")[unit]),
        z=float(run.Z[index][0, unit]),
        function=network.loss_row.link if last else network.layers[index].activation,
        a=float(A[0, unit]),
    )
    return equation, int(order[0])


def _unit_names(network: Network, index: int) -> list[str]:
    return [f"layer {index + 1}, unit {u + 1}" for u in range(network.widths[index + 1])]


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration has to show.

    Attributes
    ----------
    model : TableModel
        Trained on 569 breast tumours, each measured in 30 ways.
    row : int
        A row that was held out, from 0,
    truth, predicted : str
        its true and its predicted class,
    probability : float
        the predicted class's probability,
    equations : list of UnitEquation
        and its way through the network.
    """

    model: TableModel
    row: int
    truth: str
    predicted: str
    probability: float
    equations: list[UnitEquation]


def demonstrate(seed: int = 1, callbacks: Sequence[Any] = ()) -> Demonstration:
    """Train on a real data set, and follow one row that was held out.

    Parameters
    ----------
    seed : int
    callbacks : sequence of callable
        As for `TableModel.fit`.
    """
    import polars as pl
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    frame = pl.DataFrame(data.data, schema=names).with_columns(
        pl.Series("diagnosis", data.target_names[data.target].tolist())
    )
    model = TableModel(hidden_layer_sizes=(16, 8), random_state=seed)
    model.fit(frame, "diagnosis", callbacks=callbacks)
    row = int(model.parts_.held_out[0])
    one = frame[row]
    X = model.encoder_.transform(one)
    objective, theta, _ = model.estimator_.problem(X, np.zeros(1, dtype=np.int64))
    probabilities = model.predict_proba(one)[0]
    return Demonstration(
        model=model,
        row=row,
        truth=one["diagnosis"][0],
        predicted=str(model.predict(one)[0]),
        probability=float(probabilities.max()),
        equations=forward_equations(objective.network, theta, X[0], model.encoder_.feature_names),
    )
