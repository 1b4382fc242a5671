"""Where in the plane of two features the predicted class changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import DataError, OptionError
from chainrule.plot.canvas import colour, legend, marker, own_axes
from chainrule.plot.subject import Subject, classifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = 250  # points to a side
MARGIN = 0.08  # of the range, around the rows


def decision_boundary(
    model: Any,
    X: Any,
    y: Any,
    ax: Axes | None = None,
    *,
    features: Sequence[int | str] = (0, 1),
) -> Axes:
    """Draw the regions of the classes in the plane of two features, and the rows.

    A region's colour is the deeper, the more probable its class is. Lines are where the most probable
    class changes. Other features are held at their medians.

    Parameters
    ----------
    model : MLPClassifier
        Fitted, with at least two features.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        The true classes.
    ax : matplotlib.axes.Axes, optional
    features : sequence of two int or str
        Numbers or names of the features that span the plane.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        If the model is of another kind, is not fitted or has no such features.
    DataError
        If the data cannot be used.
    MissingPackageError
        If matplotlib is not installed.
    """
    subject = classifier(model, "decision_boundary")
    if subject.table is not None:
        raise OptionError(
            "plot.decision_boundary draws an MLPClassifier, not a TableModel: its columns are encoded."
        )
    chosen = _places(subject, features)
    rows, truth = subject.rows(X, y)
    points = _matrix(rows)
    u, v = (_axis(points[:, place]) for place in chosen)
    P = _probabilities(subject, rows, points, chosen, u, v)
    ax = own_axes(ax, 5.6, 4.4)
    _draw_regions(ax, u, v, P)
    for number, label in enumerate(subject.labels):
        mine = truth == number
        ax.plot(
            points[mine, chosen[0]],
            points[mine, chosen[1]],
            marker(number),
            color=colour(number),
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=label,
        )
    ax.set_xlabel(subject.columns[chosen[0]])
    ax.set_ylabel(subject.columns[chosen[1]])
    ax.set(xlim=(u[0], u[-1]), ylim=(v[0], v[-1]))
    if len(subject.columns) > 2:
        ax.set_title("other features at their medians", fontsize="small")
    legend(ax, title="class", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _places(subject: Subject, features: Sequence[int | str]) -> tuple[int, int]:
    """The numbers of two features."""
    names, found = subject.columns, []
    if len(names) < 2:
        raise OptionError("plot.decision_boundary needs a model with at least two features.")
    for feature in features:
        if isinstance(feature, str) and feature in names:
            found.append(names.index(feature))
        elif not isinstance(feature, str) and feature in range(len(names)):
            found.append(int(feature))
        else:
            raise OptionError(
                f"The model has no feature {feature!r}: choose numbers from 0 to {len(names) - 1}, or names."
            )
    if len(found) != 2 or found[0] == found[1]:
        raise OptionError(f"features must be two different features, not {features!r}.")
    return found[0], found[1]


def _matrix(rows: Any) -> npt.NDArray[np.float64]:
    points = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, np.float64)
    if not np.isfinite(points).all():
        raise DataError("X must hold finite numbers only.")
    return points


def _axis(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Grid points over the range of some values, and a little beyond."""
    low, high = values.min(), values.max()
    margin = MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, GRID)


def _probabilities(
    subject: Subject, rows: Any, points: Any, chosen: tuple[int, int], u: Any, v: Any
) -> npt.NDArray[np.float64]:
    """Of each class, on a grid of shape (points of v, points of u)."""
    grid = np.tile(np.median(points, axis=0), (GRID * GRID, 1))
    across, up = np.meshgrid(u, v)
    grid[:, chosen[0]], grid[:, chosen[1]] = across.ravel(), up.ravel()
    if hasattr(rows, "columns"):  # scikit-learn warns of rows without the names that were trained on
        grid = type(rows)(grid, columns=rows.columns)
    P = subject.estimator.predict_proba(grid)
    return P.reshape(GRID, GRID, -1).astype(np.float64)  # type: ignore[no-any-return]


def _draw_regions(ax: Axes, u: Any, v: Any, P: npt.NDArray[np.float64]) -> None:
    """Regions as an image, from white for undecided to the class's colour, and lines between them."""
    from matplotlib.colors import to_rgb

    best, classes = P.argmax(axis=2), P.shape[2]
    certainty = np.clip((P.max(axis=2) - 1 / classes) / (1 - 1 / classes), 0, 1)[:, :, None]
    tints = np.array([to_rgb(colour(number)) for number in range(classes)])[best]
    image = 1 - 0.55 * certainty * (1 - tints)
    ax.imshow(
        image, origin="lower", extent=(u[0], u[-1], v[0], v[-1]), aspect="auto", interpolation="bilinear"
    )
    for number in range(1 if classes == 2 else 0, classes):
        others = np.delete(P, number, axis=2).max(axis=2)
        lead = P[:, :, number] - others
        if lead.min() < 0 < lead.max():
            ax.contour(u, v, lead, levels=[0.0], colors="black", linewidths=1.0)
