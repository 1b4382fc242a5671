"""A model's predictions for a table, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from chainrule.column_values import as_frame
from chainrule.columns import require
from chainrule.errors import OptionError
from chainrule.table_model import TableModel


def predictions(
    model: TableModel, frame: pl.DataFrame, *, probabilities: bool = False, keep: Sequence[str] = ()
) -> pl.DataFrame:
    """Predict each row.

    Parameters
    ----------
    model : TableModel
    frame : polars.DataFrame
    probabilities : bool
        Whether to add a column ``probability_<class>`` for each class.
    keep : sequence of str
        Columns of the table to put in front.

    Returns
    -------
    polars.DataFrame
        The prediction is in a column named after the target.
    """
    require(as_frame(frame), keep)
    name = model.target_.name
    columns = {column: frame[column] for column in keep}
    predicted = {name: pl.Series(model.predict(frame))}
    if probabilities:
        P = model.predict_proba(frame)
        labels = [f"probability_{_spelled(label)}" for label in model.classes_.tolist()]
        predicted |= {label: pl.Series(P[:, k]) for k, label in enumerate(labels)}
    twice = columns.keys() & predicted.keys()
    if twice:
        raise OptionError(f"{min(twice)!r} is the name of a column of predictions: do not keep it.")
    return pl.DataFrame({**columns, **predicted})


def _spelled(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
