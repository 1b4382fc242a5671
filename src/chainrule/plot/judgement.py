"""How good predictions are: calibration, confusion, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.errors import OptionError
from chainrule.plot.canvas import BLUE, GREY, PALE, VERMILLION, at_least, legend, own_axes, plain
from chainrule.plot.subject import Subject, classifier, regressor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Z95 = 1.959963984540054  # quantile of the normal distribution: 95 % lie within so many deviations
MOST_WRITTEN = 15  # of a larger confusion matrix, the numbers would not be legible
TREND_BINS = 12


def confusion(model: Any, X: Any, y: Any = None, ax: Axes | None = None) -> Axes:
    """Draw how often each class is taken for each other one.

    The colour is the share of the true class; the numbers are counts, with the share below.

    Parameters
    ----------
    model : MLPClassifier or TableModel
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), or data frame with the target
    y : array-like of shape (n_samples,), optional
        The true classes; not for a `TableModel`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        If the model is of another kind or not fitted.
    DataError
        If the data cannot be used.
    MissingPackageError
        If matplotlib is not installed.
    """
    subject = classifier(model, "confusion")
    rows, truth = subject.rows(X, y)
    count = len(subject.labels)
    C = np.bincount(truth * count + subject.predicted_codes(rows), minlength=count**2).reshape(count, count)
    shares = C / np.maximum(C.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.55 * min(count, 12)
    ax = own_axes(ax, side + 0.8, side)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0.0, 0.05, 1.0)), label="share of the true class")
    if count <= MOST_WRITTEN:
        for (i, j), share in np.ndenumerate(shares):
            text = f"{C[i, j]:,}\n{share:.0%}" if C[i, j] else "0"
            ax.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize="small",
                color="white" if share > 0.6 else "black",
            )
    long = max(map(len, subject.labels)) > 4
    ax.set_xticks(range(count), subject.labels, rotation=45 if long else 0, ha="right" if long else "center")
    ax.set_yticks(range(count), subject.labels)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"{np.trace(C) / max(C.sum(), 1):.1%} of {C.sum():,} rows right", fontsize="medium")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def calibration(model: Any, X: Any, y: Any = None, ax: Axes | None = None, *, bins: int = 10) -> Axes:
    """Draw how often what is predicted with a probability comes true (a reliability diagram).

    With two classes the probability is that of the second one; with more, that of the predicted one. Bars
    are 95 % intervals (Wilson 1927); the grey bars are the share of the rows in each bin.

    Parameters
    ----------
    model : MLPClassifier or TableModel
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), or data frame with the target
        Rows that were not trained on.
    y : array-like of shape (n_samples,), optional
        The true classes; not for a `TableModel`.
    ax : matplotlib.axes.Axes, optional
    bins : int
        Of equal width, at least 2.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        If the model is of another kind or not fitted, or there are too few bins.
    DataError
        If the data cannot be used.
    MissingPackageError
        If matplotlib is not installed.
    """
    subject = classifier(model, "calibration")
    at_least("bins", bins, 2)
    rows, truth = subject.rows(X, y)
    P = subject.estimator.predict_proba(rows)
    binary = len(subject.labels) == 2
    p = P[:, 1] if binary else P.max(axis=1)
    hit = truth == 1 if binary else P.argmax(axis=1) == truth
    mean, share, count = reliability(p, hit, bins)
    low, high = wilson(share, count)
    error = float(np.abs(share - mean) @ count / count.sum())
    ax = own_axes(ax, 4.8, 4.6)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    edges = np.linspace(0, 1, bins + 1)
    heights = np.histogram(p, edges)[0] / len(p)
    ax.bar(
        edges[:-1],
        heights,
        1 / bins,
        align="edge",
        color=PALE,
        edgecolor="white",
        label="share of rows",
        zorder=0,
    )
    ax.errorbar(
        mean,
        share,
        yerr=[np.maximum(share - low, 0), np.maximum(high - share, 0)],
        color=BLUE,
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1.2,
        label=f"model (mean error {error:.3f})",
    )
    what = f"probability of {subject.labels[1]}" if binary else "probability of the predicted class"
    ax.set_xlabel(f"predicted {what}")
    ax.set_ylabel(f"share of {subject.labels[1]}" if binary else "share of right predictions")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    plain(ax)
    legend(ax, loc="upper left")
    return ax


def reliability(p: Any, hit: Any, bins: int) -> tuple[Any, Any, Any]:
    """Mean probability, share of hits and number of rows of each bin that has rows."""
    place = np.minimum((np.asarray(p) * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    full = count > 0
    mean = np.bincount(place, p, bins)[full] / count[full]
    return mean, np.bincount(place, hit, bins)[full] / count[full], count[full]


def wilson(share: Any, count: Any) -> tuple[Any, Any]:
    """Wilson's 95 % interval of a share: J. Am. Stat. Assoc. 22 (1927)."""
    centre = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 * np.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2)) / (1 + Z95**2 / count)
    return centre - half, centre + half


def residuals(model: Any, X: Any, y: Any = None, ax: Axes | None = None, *, output: int = 0) -> Axes:
    """Draw true minus predicted numbers against the predicted ones.

    The line is the mean residual of rows with similar predictions: far from 0 it shows what the
    network has not learnt. The band is one root mean square error to both sides.

    Parameters
    ----------
    model : MLPRegressor or TableModel
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), or data frame with the target
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        The true numbers; not for a `TableModel`.
    ax : matplotlib.axes.Axes, optional
    output : int
        Which output is drawn, from 0.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        If the model is of another kind or not fitted, or there is no such output.
    DataError
        If the data cannot be used.
    MissingPackageError
        If matplotlib is not installed.
    """
    subject = regressor(model, "residuals")
    outputs = subject.estimator.n_outputs_
    if output not in range(outputs):
        raise OptionError(f"output must be a whole number from 0 to {outputs - 1}, not {output!r}.")
    predicted, true = _numbers(subject, X, y, output)
    error = true - predicted
    spread = float(np.sqrt(np.square(error).mean()))
    ax = own_axes(ax, 6.0, 4.0)
    ax.axhspan(-spread, spread, color=PALE, alpha=0.5, linewidth=0, label=f"± RMSE = {spread:.3g}", zorder=0)
    ax.axhline(0, color=GREY, linewidth=1)
    alpha = float(np.clip(60 / len(error) ** 0.5 / 3, 0.15, 0.8))
    ax.plot(predicted, error, "o", color=BLUE, markersize=3.5, markeredgewidth=0, alpha=alpha, label="rows")
    ax.plot(*trend(predicted, error), color=VERMILLION, linewidth=1.8, label="mean of neighbours")
    name = subject.target if outputs == 1 else f"{subject.target}{output + 1}"
    ax.set_xlabel(f"predicted {name}")
    ax.set_ylabel(f"residual of {name} (true − predicted)")
    plain(ax)
    legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return ax


def _numbers(subject: Subject, X: Any, y: Any, output: int) -> tuple[Any, Any]:
    rows, truth = subject.rows(X, y)
    predicted = subject.estimator.predict(rows).reshape(len(truth), -1)[:, output]
    true = np.asarray(truth, np.float64).reshape(len(truth), -1)
    if true.shape[1] != subject.estimator.n_outputs_:
        raise OptionError(
            f"y has {true.shape[1]} columns, but the model predicts {subject.estimator.n_outputs_}."
        )
    return subject.decoded(predicted), subject.decoded(true[:, output])


def trend(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Means of x and y over groups of neighbours in x, of equal size."""
    order = np.argsort(x, kind="stable")
    groups = np.array_split(order, max(1, min(TREND_BINS, len(x) // 5)))
    return np.array([x[g].mean() for g in groups]), np.array([y[g].mean() for g in groups])
