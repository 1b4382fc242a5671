"""How training went: loss and metrics, and what happened inside the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.plot.canvas import BLUE, GREY, VERMILLION, colour, new_figure, own_axes, plain
from chainrule.plot.subject import fitted
from chainrule.watch import QUANTILES, Watch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALIDATION = "validation_"
LOGARITHMIC_FROM = 50.0  # a loss that falls by this factor is drawn on a logarithmic axis
SMALLEST = 1e-9  # gradients below this part of the largest are drawn at the lower end


def history(model: Any, ax: Axes | None = None) -> Axes:
    """Draw the loss of each epoch and, below it, the other metrics that were watched.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor or TableModel
        Fitted. `track=["accuracy"]` and the like have it watch metrics.
    ax : matplotlib.axes.Axes, optional
        It is divided into one for the loss and one for each metric.

    Returns
    -------
    matplotlib.axes.Axes
        That of the loss; those of the metrics follow it in ``ax.figure.axes``.

    Raises
    ------
    OptionError
        If the model is of another kind, is not fitted or has no history.
    MissingPackageError
        If matplotlib is not installed.
    """
    net = fitted(model, "history").estimator
    curves = {name: values for name, values in getattr(net, "history_", {}).items() if values}
    if "loss" not in curves:
        raise OptionError("plot.history found no epoch in the model's history: fit it for at least one.")
    groups: dict[str, list[str]] = {"loss": []}
    for name in curves:
        groups.setdefault(name.removeprefix(VALIDATION), []).append(name)
    panels = _divide(own_axes(ax, 6.0, 2.0 + 1.6 * len(groups)), len(groups))
    for panel, (metric, names) in zip(panels, groups.items(), strict=True):
        for name in names:
            _draw_curve(panel, name, curves[name])
        panel.set_ylabel(metric.replace("_", " "))
        _mark_kept(panel, net)
        plain(panel)
    _name_curves(panels)
    if min(curves["loss"]) > 0 and max(curves["loss"]) > LOGARITHMIC_FROM * min(curves["loss"]):
        panels[0].set_yscale("log")
    panels[-1].set_xlabel("epoch" if net._is_stochastic() else "iteration")
    return panels[0]


def _draw_curve(panel: Axes, name: str, values: Sequence[float]) -> None:
    validation = name.startswith(VALIDATION)
    panel.plot(
        np.arange(1, len(values) + 1),
        values,
        color=VERMILLION if validation else BLUE,
        linestyle="--" if validation else "-",
        label="rows set apart" if validation else "training rows",
    )


def _name_curves(panels: Sequence[Axes]) -> None:
    """One legend above all panels."""
    found = [panel.get_legend_handles_labels() for panel in panels]
    handles = {label: handle for lists in found for handle, label in zip(*lists, strict=True)}
    panels[0].legend(
        handles.values(),
        handles.keys(),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        fontsize="small",
    )


def _mark_kept(panel: Axes, net: Any) -> None:
    """The epoch whose weights were kept, where that was not the last."""
    scores, best = getattr(net, "validation_scores_", None), getattr(net, "best_validation_score_", None)
    if scores and best in scores:
        kept = scores.index(best) + 1
        panel.axvline(kept, color=GREY, linestyle=":", linewidth=1, label=f"weights kept (epoch {kept})")


def _divide(ax: Axes, count: int) -> list[Axes]:
    """Axes one below the other in the place of one, with a common horizontal axis."""
    if count == 1:
        return [ax]
    spec = ax.get_subplotspec()
    if spec is None:
        raise OptionError("plot.history needs axes of a grid, such as figure.add_subplot() gives.")
    grid = spec.subgridspec(count, 1, height_ratios=[1.4] + [1.0] * (count - 1))
    ax.set_subplotspec(grid[0])
    others = [ax.get_figure().add_subplot(grid[i], sharex=ax) for i in range(1, count)]  # type: ignore[union-attr]
    for panel in [ax, *others[:-1]]:
        panel.tick_params(labelbottom=False)
    return [ax, *others]


# ------------------------------------------------------------------ inside the layers


def distributions(watch: Watch, axes: Any = None) -> Any:
    """Draw the distributions of values and gradients in each layer over training.

    A line is the median over rows and units; the bands hold 50, 80 and 98 % of the values.

    Parameters
    ----------
    watch : Watch
        A callback that has seen a training.
    axes : array of matplotlib.axes.Axes, of shape (layers, 2), optional

    Returns
    -------
    ndarray of matplotlib.axes.Axes, of shape (layers, 2)
        A row for each layer: on the left its values after the activation, on the right the size of the
        loss's derivatives with respect to its parameters, on a logarithmic axis.

    Raises
    ------
    OptionError
        If it is no `Watch`, if it has seen no training, or if the axes are too few.
    MissingPackageError
        If matplotlib is not installed.
    """
    if not isinstance(watch, Watch):
        raise OptionError(f"plot.distributions draws a chainrule.Watch, not {type(watch).__name__}.")
    if watch.network is None:
        raise OptionError("This Watch has seen no training yet: give it to a model as a callback and fit.")
    layers = watch.network.layers
    if axes is None:
        figure = new_figure(8.0, 0.8 + 1.6 * len(layers))
        axes = figure.subplots(len(layers), 2, sharex=True, squeeze=False)
    if np.shape(axes) != (len(layers), 2):
        raise OptionError(f"axes must have shape ({len(layers)}, 2), not {np.shape(axes)}.")
    epochs = [record.epoch for record in watch.records]
    values = np.array([record.values for record in watch.records])
    gradients = np.array([record.gradients for record in watch.records])
    low, high = _range_of(gradients)
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        title = "output layer" if last else f"hidden layer {index + 1}"
        _draw_fan(axes[index, 0], epochs, values[:, index], colour(0))
        _draw_fan(axes[index, 1], epochs, np.maximum(gradients[:, index], low), colour(1))
        axes[index, 0].set_ylabel(f"{title}\n{layer.units:,} × {layer.activation}")
        axes[index, 1].set_yscale("log")
        axes[index, 1].set_ylim(low, high)
    axes[0, 0].set_title("values after the activation", fontsize="medium")
    axes[0, 1].set_title("|∂L/∂w|, of weights and biases", fontsize="medium")
    for panel in axes[-1]:
        panel.set_xlabel("epoch")
    handles, names = axes[0, 0].get_legend_handles_labels()
    axes[-1, 0].legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.35),
        ncols=4,
        frameon=False,
        fontsize="small",
        columnspacing=1.0,
        handlelength=1.4,
    )
    return axes


def _range_of(gradients: Any) -> tuple[float, float]:
    """Common ends of the logarithmic axes, so that layers can be compared."""
    positive = gradients[(gradients > 0) & np.isfinite(gradients)]
    if not len(positive):
        return 1e-12, 1.0
    high = 2 * float(positive.max())
    return max(float(positive.min()) / 2, high * SMALLEST), high


def _draw_fan(panel: Axes, epochs: Sequence[int], quantiles: Any, shade: str) -> None:
    """Bands between opposite quantiles, and the median."""
    half = len(QUANTILES) // 2
    for number in range(half):
        share = QUANTILES[-1 - number] - QUANTILES[number]
        panel.fill_between(
            epochs,
            quantiles[:, number],
            quantiles[:, -1 - number],
            color=shade,
            alpha=0.12 + 0.13 * number,
            linewidth=0,
            label=f"{share:.0%}",
        )
    panel.plot(
        epochs, quantiles[:, half], color=shade, label="median", marker="." if len(epochs) == 1 else ""
    )
    plain(panel)
