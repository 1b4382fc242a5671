"""The network with its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.plot.canvas import BLUE, GREY, VERMILLION, at_least, own_axes
from chainrule.plot.subject import Subject, fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THICKEST, THINNEST = 3.0, 0.15  # points
LAYER_GAP = 1.0  # from layer to layer; the units of a layer share a height of 1


@dataclass(frozen=True)
class Column:
    """The units of a layer that are drawn.

    Attributes
    ----------
    x : float
    shown : ndarray of int
        Numbers of the units.
    y : ndarray of float
        Their heights,
    hidden : int
        how many are left out in the middle,
    gap : float
        and at which height.
    """

    x: float
    shown: npt.NDArray[np.int64]
    y: npt.NDArray[np.float64]
    hidden: int
    gap: float


def network(model: Any, ax: Axes | None = None, *, most: int = 12) -> Axes:
    """Draw the units of each layer, and the weights between them.

    An edge is blue for a positive weight and vermillion for a negative one; its thickness is
    proportional to the weight's size. Of a layer with more than `most` units, the first and the last are
    drawn, and the number of those left out is written between them.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor or TableModel
        Fitted.
    ax : matplotlib.axes.Axes, optional
    most : int
        Most units of a layer that are drawn, at least 2.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        If the model is of another kind or not fitted, or `most` is too small.
    MissingPackageError
        If matplotlib is not installed.
    """
    subject = fitted(model, "network")
    at_least("most", most, 2)
    widths = subject.estimator.network_.widths
    columns = [place(width, most, LAYER_GAP * index) for index, width in enumerate(widths)]
    tallest = max(len(column.shown) + bool(column.hidden) for column in columns)
    ax = own_axes(ax, 1.8 + 1.7 * len(widths), 1.4 + 0.32 * tallest)
    weights = subject.estimator.coefs_
    largest = max(float(np.abs(W).max()) for W in weights) or 1.0
    for W, left, right in zip(weights, columns, columns[1:], strict=False):
        _draw_edges(ax, W, left, right, largest)
    for column in columns:
        _draw_units(ax, column)
    _name(ax, subject, columns)
    _explain(ax, largest)
    ax.set_axis_off()
    ax.set_xlim(columns[0].x - 0.25, columns[-1].x + 0.25)
    ax.set_ylim(-0.52, 0.66)
    return ax


def place(width: int, most: int, x: float) -> Column:
    """Where the units of a layer are drawn: from top to bottom, around height 0."""
    if width <= most:
        shown, hidden = np.arange(width), 0
    else:
        above = (most + 1) // 2
        shown = np.r_[np.arange(above), np.arange(width - (most - above), width)]
        hidden = width - most
    slots = len(shown) + bool(hidden)
    heights = (np.arange(slots - 1, -1, -1) - (slots - 1) / 2) / max(slots, 4)
    middle = (most + 1) // 2
    y = np.delete(heights, middle) if hidden else heights
    return Column(x, shown, y, hidden, float(heights[middle]) if hidden else 0.0)


def _draw_edges(ax: Axes, W: Any, left: Column, right: Column, largest: float) -> None:
    """Small weights first, so that large ones lie on top."""
    from matplotlib.collections import LineCollection

    part = W[np.ix_(left.shown, right.shown)].astype(np.float64)
    order = np.argsort(np.abs(part), axis=None)
    i, j = np.unravel_index(order, part.shape)
    w = part[i, j]
    starts = np.column_stack([np.full(len(w), left.x), left.y[i]])
    ends = np.column_stack([np.full(len(w), right.x), right.y[j]])
    size = np.abs(w) / largest
    lines = LineCollection(
        list(np.stack([starts, ends], axis=1)),
        colors=[BLUE if value >= 0 else VERMILLION for value in w],
        linewidths=np.maximum(THICKEST * size, THINNEST),
        alpha=np.clip(0.25 + 0.75 * size, 0.25, 1.0),
        zorder=1,
    )
    lines.set_array(None)
    ax.add_collection(lines)


def _draw_units(ax: Axes, column: Column) -> None:
    ax.plot(
        np.full(len(column.y), column.x),
        column.y,
        "o",
        markersize=9,
        color="white",
        markeredgecolor=GREY,
        zorder=2,
    )
    if column.hidden:
        text = f"… {column.hidden:,} more"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
        ax.text(column.x, column.gap, text, ha="center", va="center", fontsize="small", bbox=box, zorder=3)


def _name(ax: Axes, subject: Subject, columns: list[Column]) -> None:
    """Names of inputs and outputs beside their units, and of layers above them."""
    first, last = columns[0], columns[-1]
    for name, y in zip([subject.columns[i] for i in first.shown], first.y, strict=True):
        ax.annotate(
            name, (first.x, y), (-9, 0), textcoords="offset points", ha="right", va="center", fontsize="small"
        )
    for name, y in zip([output_names(subject)[i] for i in last.shown], last.y, strict=True):
        ax.annotate(
            name, (last.x, y), (9, 0), textcoords="offset points", ha="left", va="center", fontsize="small"
        )
    net = subject.estimator.network_
    for index, (column, width) in enumerate(zip(columns, net.widths, strict=True)):
        if index == 0:
            title = f"inputs\n{width:,}"
        elif index == len(columns) - 1:
            title = f"output\n{width:,}, {net.loss_row.link}"
        else:
            title = f"hidden {index}\n{width:,}, {net.layers[index - 1].activation}"
        ax.text(column.x, 0.53, title, ha="center", va="bottom", fontsize="small")


def output_names(subject: Subject) -> list[str]:
    """What the outputs are called."""
    count = subject.estimator.n_outputs_
    if count == 1:
        return [f"P({subject.labels[-1]})" if subject.labels else subject.target]
    if subject.labels:
        return subject.labels
    return [f"{subject.target}{number}" for number in range(1, count + 1)]


def _explain(ax: Axes, largest: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, linewidth=THICKEST / 2, label="positive weight"),
        Line2D([], [], color=VERMILLION, linewidth=THICKEST / 2, label="negative weight"),
        Line2D([], [], color=GREY, linewidth=THICKEST, label=f"|w| = {largest:.3g}, the largest"),
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.03),
        ncols=3,
        frameon=False,
        fontsize="small",
    )
