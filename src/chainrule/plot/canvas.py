"""What the plots share: axes of their own, colours, and how a number is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008, Color Universal Design: told apart with every kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BROWN, BLACK = "#56B4E9", "#CC79A7", "#8C510A", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BROWN, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#767676"
PALE = "#D0D0D0"


def colour(index: int) -> str:
    """The colour of a class or a curve."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The marker of a class."""
    return MARKERS[index % len(MARKERS)]


def new_figure(width: float, height: float) -> Figure:
    """A figure of that size in inches, on a canvas of its own: no window, no global state.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError(
            "chainrule.plot draws with matplotlib, which is not installed: pip install 'chainrule[plot]'."
        ) from None
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def own_axes(ax: Axes | None, width: float = 6.0, height: float = 4.0) -> Axes:
    """The given axes, or new ones in a figure of that size in inches."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def at_least(name: str, value: Any, least: int) -> None:
    """Refuse an option that is no whole number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def plain(ax: Axes) -> None:
    """Leave out the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame, if there is anything to tell."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small", **options)
