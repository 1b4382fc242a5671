"""`explain`: a fitted model's own numbers, names and preprocessing, as a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from chainrule import (
    tabular_explanation,
    tabular_input,
    targets,
    trace_matrices,
    trace_units,
    train,
)
from chainrule.column_kinds import Number
from chainrule.column_values import as_frame
from chainrule.equations import OPTIMISERS
from chainrule.errors import DataError, OptionError
from chainrule.problem import Batch, Pace
from chainrule.table_model import TableModel
from chainrule.tabular_base import BaseTabular
from chainrule.targets import Classes
from chainrule.trace import Trace
from chainrule.trace_equation import Equation, factor, number
from chainrule.trace_step import Step

FORMS = {"units": trace_units.equations, "matrix": trace_matrices.equations}
MANY, FEW, WIDE = 8, 4, 32  # terms and units written out; the latter in networks with wider layers
MOST_ROWS = 1000  # a trace of more rows could not be read


def explain(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    row: int | Sequence[int] = 0,
    form: str = "units",
    sample_weight: Any = None,
    dropout: bool = False,
    memory: bool = True,
    terms: int | None = None,
    units: int | None = None,
    digits: int = 4,
    member: int = 0,
) -> Trace:
    """Write down a prediction and a training step of a model, equation by equation.

    The step is the one that the model's optimiser would make next, from here, with the given rows as its
    batch: with ``dropout=True`` exactly the one that ``partial_fit`` on these rows would make.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, TableModel, TabularClassifier or TabularRegressor
        Fitted.
    X : array-like of shape (n_samples, n_features), or a data frame
        For a `TableModel` the table as it is; with the target's column there is also a backward part.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        Targets. Without them the trace ends with the prediction.
    row : int or sequence of int
        Which row, from 0; several make a mini-batch.
    form : {"units", "matrix"}
        Unit by unit, or as matrices.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of all rows of X. Class weights come on top, if the model was fitted with some.
    dropout : bool
        Whether dropout is on, as in training; off, as in a prediction.
    memory : bool
        Whether the optimiser goes on from where training left it, or begins anew with an empty memory.
        The full-batch methods always begin anew: what is shown is their first iteration on these rows.
    terms, units : int
        So many terms of a sum and units of a layer are written out, the largest ones; what the others add
        up to is said. By default 8 of each, and 4 where a layer has more than 32 units.
    digits : int
        Significant digits of printed numbers, 1 to 17.
    member : int
        Of a model of several networks, the one whose equations are written down, from 0.

    Returns
    -------
    Trace

    Raises
    ------
    OptionError
        If an option has a value that it may not have.
    DataError
        If there is no such row.
    """
    if form not in FORMS:
        raise OptionError(f"form must be 'units' or 'matrix', not {form!r}.")
    for name, value, most in (("terms", terms, 10**9), ("units", units, 10**9), ("digits", digits, 17)):
        if value is not None and not 1 <= value <= most:
            raise OptionError(f"{name} must lie between 1 and {most}, not {value!r}.")
    rows = [row] if isinstance(row, int | np.integer) else [int(r) for r in row]
    _check_rows(rows, X)
    weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
    options: dict[str, Any] = {"digits": digits}
    options |= {name: v for name, v in (("terms", terms), ("units", units)) if v is not None}
    chosen = Choice(rows, weight, dropout, memory, options)
    if isinstance(model, TableModel):
        step, before, after = _of_table(model, X, chosen)
    elif isinstance(model, BaseTabular):
        step, before, after = _of_tabular(model, X, y, chosen, member)
    else:
        step, before, after = _of_estimator(model, X, y, chosen)
    with_y = "" if step.known else ", without its target"
    title = f"Row {rows[0]}{with_y}" if len(rows) == 1 else f"Rows {', '.join(map(str, rows))}{with_y}"
    equations = list(FORMS[form](step))
    last = max(i for i, e in enumerate(equations) if e.part == "forward") + 1
    if len(rows) > 1:
        before, after = [], []
    equations = [*before, *equations[:last], *after, *equations[last:]]
    return Trace(form, title, tuple(equations), digits)


@dataclass(frozen=True)
class Choice:
    """What is to be explained: which rows, how they count, and how the step is made and printed."""

    rows: list[int]
    weight: Any
    dropout: bool
    memory: bool
    options: dict[str, Any]


def _check_rows(rows: Sequence[int], X: Any) -> None:
    if not 1 <= len(rows) <= MOST_ROWS:
        raise OptionError(f"row must name 1 to {MOST_ROWS} rows, not {len(rows)}.")
    count = X.shape[0] if hasattr(X, "shape") else len(X)
    for row in rows:
        if not 0 <= row < count:
            raise DataError(f"There is no row {row}: the data have rows 0 to {count - 1}.")


def _step(model: Any, X: Any, y: Any, known: bool, names: Any, outputs: Any, chosen: Choice) -> Step:
    objective, theta, batch = model.problem(X, y, chosen.weight)
    few, moves = (FEW, 1) if max(objective.network.widths[1:]) > WIDE else (MANY, MANY)
    optimiser, state = OPTIMISERS.find(model._optimiser()), model._state
    options = {"terms": few, "units": few, "moves": chosen.options.get("terms", moves), **chosen.options}
    rate = float(model.learning_rate_init)
    if chosen.memory and state is not None and not optimiser.full_batch:
        training = model._training(np.iinfo(np.int64).max)  # a rate does not hang on the number of rows
        rate, decaying, dropping = map(float, train.scheduled(training, state, 1)[:, 0])
        options |= {"decaying": decaying, "dropping": dropping, "pace": Pace.of(training)}
        if state.slots.shape == (len(optimiser.slots), theta.size):
            options |= {"slots": state.slots, "t": state.t}
    if chosen.dropout:
        options["seed"] = model._dropout_seed
    return Step(objective, theta, batch, names, outputs, optimiser, rate, known, chosen.rows, **options)


def _any_target(model: Any) -> Any:
    """A target that stands in where none is known; nothing that depends on it is written down."""
    classes = getattr(model, "classes_", None)
    outputs = model.network_.outputs
    if classes is None:
        return np.zeros((1, outputs)) if outputs > 1 else np.zeros(1)
    return np.asarray(classes)[:1]


def _of_estimator(model: Any, X: Any, y: Any, chosen: Choice) -> Any:
    check_is_fitted(model)
    X = _rows_of(X, chosen.rows)
    target = (
        np.repeat(_any_target(model), len(chosen.rows), axis=0) if y is None else np.asarray(y)[chosen.rows]
    )
    features = [str(name) for name in getattr(model, "feature_names_in_", [])]
    names = features or [f"x_{i}" for i in range(model.n_features_in_)]
    outputs = _outputs(model, getattr(model, "classes_", None))
    step = _step(model, X, target, y is not None, names, outputs, chosen)
    inputs = step.run.X[0]
    before = [
        Equation("input", None, f"x_{i}", name, value=float(v))
        for i, (name, v) in enumerate(zip(features, inputs, strict=False))
    ]
    return step, _shortened(before, step), []


def _rows_of(X: Any, rows: Sequence[int]) -> Any:
    """The rows of an array, a sparse matrix, a list, or a data frame."""
    if hasattr(X, "iloc"):
        return X.iloc[list(rows)]
    return (X if hasattr(X, "shape") else np.asarray(X))[list(rows)]


def _outputs(model: Any, classes: Sequence[Any] | None) -> list[str]:
    """What the outputs of an estimator for these classes are called; without classes, for numbers."""
    count = model.network_.outputs
    if classes is None:
        return ["the prediction"] if count == 1 else [f"output {k}" for k in range(count)]
    return [f"probability of {c}" for c in (classes if len(classes) == count else classes[-1:])]


def _of_table(model: TableModel, data: Any, chosen: Choice) -> Any:
    model._check_fitted()
    frame = as_frame(data)[chosen.rows]
    X = model.encoder_.transform(frame)
    known = model.target_.name in frame.columns
    y = _any_target(model.estimator_).repeat(len(chosen.rows))
    if known:
        given = model.target_.encode(frame[model.target_.name])
        known = bool(targets.present(given).all())
        y = given if known else y
    outputs = _outputs(model.estimator_, getattr(model.target_, "labels", None))
    step = _step(model.estimator_, X, y, known, model.encoder_.feature_names, outputs, chosen)
    before = _shortened(list(_cells(model, frame, X[0], step.digits)), step)
    return step, before, _unscaled(model, step, step.digits)


def _of_tabular(model: BaseTabular, data: Any, y: Any, chosen: Choice, member: int) -> Any:
    """Of a model for tables: one of its networks, which begins its step with an empty memory."""
    check_is_fitted(model)
    if not 0 <= member < len(model.members_):
        raise OptionError(f"member must lie between 0 and {len(model.members_) - 1}, not {member!r}.")
    frame = tabular_input.table(model, _rows_of(data, chosen.rows), reset=False)
    X, known = model.encoder_.transform(frame), y is not None
    own = np.zeros(len(frame), dtype=np.int64)
    if known:
        own = model._known_target(np.asarray(y)[chosen.rows], frame, "y")
    weight = None if chosen.weight is None else np.asarray(chosen.weight, dtype=X.dtype)
    outputs = _outputs(model, getattr(model, "classes_", None))
    few, moves = (FEW, 1) if max(model.network_.widths[1:]) > WIDE else (MANY, MANY)
    options = {"terms": few, "units": few, "moves": chosen.options.get("terms", moves), **chosen.options}
    if chosen.dropout:
        options["seed"] = model._training.seed
    step = Step(
        model._objective, model.members_[member].theta, Batch(X, model._network_targets(own), weight),
        model.encoder_.layout.names, outputs, model._training.optimiser_row, model._training.learning_rate,
        known, chosen.rows, **options,
    )  # fmt: skip
    before = list(tabular_explanation.cells(model, frame, X[0], step.digits))
    return step, _shortened(before, step), tabular_explanation.outcome(model, step, X, member)


def _cells(model: TableModel, frame: Any, x: Any, digits: int) -> Iterator[Equation]:
    """How each cell of a row becomes the network's input."""
    place = 0
    for column in model.encoder_.kept:
        raw = frame[column.name].to_list()[0]
        for feature in column.features:
            numbers = "from a missing value" if raw is None or raw != raw else f"from {raw!r}"
            measured = isinstance(column, Number) and not column.truth and feature == column.name
            if measured and not numbers.endswith("value"):
                assert isinstance(column, Number)
                centre, scale = factor(column.centre, digits), number(column.scale, digits)
                numbers = f"({number(float(raw), digits)} − {centre}) / {scale}"
            why = column.done
            yield Equation("input", None, f"x_{place}", feature, numbers, float(x[place]), because=why)
            place += 1


def _unscaled(model: TableModel, step: Step, digits: int) -> list[Equation]:
    """The prediction of a number in its own unit, or the class that is predicted."""
    predicted = step.prediction[0]
    if isinstance(model.target_, Classes):
        code = int(predicted.argmax()) if len(predicted) > 1 else int(predicted[0] > 0.5)
        label = model.target_.labels[code]
        return [Equation("forward", None, model.target_.name, str(label), because="the most probable class")]
    centre, scale = model.target_.centre, model.target_.scale
    value = float(model.target_.decode(predicted)[0])
    numbers = f"{factor(float(predicted[0]), digits)} · {number(scale, digits)} + {factor(centre, digits)}"
    formula, why = "ŷ_0 · standard deviation + mean", "back to the target's own unit"
    return [Equation("forward", None, model.target_.name, formula, numbers, value, because=why)]


def _shortened(before: list[Equation], step: Step) -> list[Equation]:
    """Of many inputs those that are largest."""
    most = max(step.terms, 30)
    if len(before) <= most:
        return before
    chosen = sorted(sorted(range(len(before)), key=lambda i: -abs(before[i].value))[:most])
    text = f"{most} of {len(before)} inputs are shown, those largest in size"
    return [Equation("input", None, "", text), *(before[i] for i in chosen)]
