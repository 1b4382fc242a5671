"""Rows that users add while a program runs."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.equation import Function
from chainrule.equations.activations import ACTIVATIONS, BUILT_IN, Activation
from chainrule.errors import OptionError


def register_activation(
    name: str,
    f: Function,
    slope: Function,
    *,
    latex: str = "",
    slope_latex: str = "",
    source: str = "user",
    parameters: Mapping[str, float] | None = None,
    kinks: tuple[float, ...] = (),
) -> Activation:
    """Add an activation of your own; it compiles, explains and checks like the built-in ones.

    Parameters
    ----------
    name : str
        An identifier that no built-in activation has.
    f : callable
        ``f(z, *parameters) -> a``, written with NumPy functions or the vocabulary of
        `chainrule.equation`, so that it works on an array and, compiled, on a number.
        Closures over numbers are allowed.
    slope : callable
        ``slope(z, a, *parameters) -> f'(z)`` with ``a = f(z)``.
    latex, slope_latex : str, optional
        The two formulas, for readings of the network.
    source : str, optional
        Where the function comes from.
    parameters : mapping of str to float, optional
        Named constants with their defaults, in the order of the arguments.
    kinks : tuple of float, optional
        Points where f is not differentiable; checks keep away from them.

    Returns
    -------
    Activation
        The new row.

    Raises
    ------
    OptionError
        If a built-in activation has the name, or if something is not callable.

    Examples
    --------
    >>> import chainrule
    >>> row = chainrule.register_activation("square", lambda z: z * z, lambda z, a: 2 * z)
    >>> row.name
    'square'
    """
    if name in BUILT_IN:
        raise OptionError(f"{name!r} is a built-in activation: choose another name.")
    for label, function in (("f", f), ("slope", slope)):
        if not callable(function):
            raise OptionError(f"{label} of the activation {name!r} must be a function.")
    return ACTIVATIONS.add(
        Activation(
            name=name,
            latex=latex or rf"\mathrm{{{name}}}(z)",
            slope_latex=slope_latex or rf"\mathrm{{{name}}}'(z)",
            source=source,
            parameters=dict(parameters or {}),
            kinks=kinks,
            f=f,
            slope=slope,
        )
    )
