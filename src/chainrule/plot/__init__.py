"""Pictures of networks, of their training and of their predictions, drawn by matplotlib.

Each function takes a fitted model and returns the `matplotlib.axes.Axes` that it has drawn on. Without
`ax` it makes a figure of its own, which belongs to no window: show it in a notebook by its attribute
``.figure``, or save it by ``.figure.savefig("name.png")``. matplotlib comes with the extra
``chainrule[plot]``.
"""

from chainrule.plot.judgement import calibration, confusion, residuals
from chainrule.plot.plane import decision_boundary
from chainrule.plot.structure import network
from chainrule.plot.training import distributions, history

__all__ = [
    "calibration",
    "confusion",
    "decision_boundary",
    "distributions",
    "history",
    "network",
    "residuals",
]
