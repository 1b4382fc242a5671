r"""The optimisers that look at all rows in each step: L-BFGS and Levenberg-Marquardt.

Both are generators: they yield after every iteration and are told nothing; whoever drives them may stop
asking at any time, and may go on later from the last iterate with the same bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.parameters import Array

ValueAndGradient = Callable[[Array], tuple[float, Array]]
Pair = tuple[Array, Array, float]  # s, y, 1 / s.y: a step, the change of the gradient, and their product

SUFFICIENT_DECREASE = 1e-3
CURVATURE = 0.9
WIDTH = 0.1
LONGEST_STEP = 1e10
MOST_TRIALS = 20


@dataclass
class Iterate:
    """Where a full-batch method stands, with all that it remembers.

    Attributes
    ----------
    theta : ndarray of shape (parameters,)
    value : float
        The objective at theta.
    gradient : ndarray of shape (parameters,)
    evaluations : int
        How often the objective was evaluated so far.
    status : str
        "" while it goes on; else why it ended: "gradient", "decrease", "stuck", "damping", "not finite".
    pairs : tuple of Pair
        What L-BFGS knows of the curvature.
    damping : float
        The next mu of Levenberg-Marquardt.
    """

    theta: Array
    value: float
    gradient: Array
    evaluations: int = 1
    status: str = ""
    pairs: tuple[Pair, ...] = ()
    damping: float = 0.0


# ------------------------------------------------------------------ L-BFGS


def two_loops(g: Array, pairs: deque[Pair]) -> Array:
    """d = -H g, where H holds the curvature of the last steps (Nocedal & Wright 2006, algorithm 7.4)."""
    q, alphas = g.copy(), []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s @ q)
        q -= alpha * y
        alphas.append(alpha)
    if pairs:
        s, y, _ = pairs[-1]
        q *= (s @ y) / (y @ y)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - rho * (y @ q)) * s
    return -q


def lbfgs(
    f: ValueAndGradient,
    theta: Array,
    memory: int = 10,
    tol: float = 1e-4,
    decrease: float = 2.22e-9,
    start: Iterate | None = None,
) -> Iterator[Iterate]:
    """Minimise f; yields after each iteration, the last time with a status.

    Parameters
    ----------
    f : callable
        ``f(theta) -> (value, gradient)``.
    theta : ndarray of shape (parameters,)
        Where to start; not changed.
    memory : int
        Steps whose curvature is kept.
    tol : float
        Ends when no entry of the gradient is larger.
    decrease : float
        Ends when the value fell by a smaller share than that.
    start : Iterate, optional
        Where to go on from, in place of theta.

    Source: Liu & Nocedal 1989, Math. Program. 45; the tests for the end are those of L-BFGS-B (Byrd, Lu,
    Nocedal & Zhu 1995, SIAM J. Sci. Comput. 16).
    """
    if start is None:
        value, g = f(theta)
        start = Iterate(theta.astype(np.float64), value, g.astype(np.float64))
        if np.max(np.abs(start.gradient)) <= tol:
            start.status = "gradient"
            yield start
    at, pairs = start, deque(start.pairs, maxlen=int(memory))
    while not at.status:
        d = two_loops(at.gradient, pairs)
        first = float(1.0 / np.sqrt(d @ d)) if not pairs and at.evaluations == 1 else 1.0
        found = line_search(f, at, d, first)
        if found is None:
            if not pairs:
                at.status = "stuck"
                yield at
                return
            pairs.clear()  # forget the curvature and go down the gradient
            continue
        step, new = found
        s, y = step * d, new.gradient - at.gradient
        if s @ y > np.finfo(np.float64).eps * -(s @ at.gradient):
            pairs.append((s, y, float(1.0 / (s @ y))))
        new.pairs = tuple(pairs)
        scale = max(abs(at.value), abs(new.value), 1.0)
        if np.max(np.abs(new.gradient)) <= tol:
            new.status = "gradient"
        elif at.value - new.value <= decrease * scale:
            new.status = "decrease"
        at = new
        yield at


def line_search(f: ValueAndGradient, at: Iterate, d: Array, first: float) -> tuple[float, Iterate] | None:
    """A step length along d that satisfies the strong Wolfe conditions; None if there is none to be found.

    Source: More & Thuente 1994, ACM TOMS 20, "Line search algorithms with guaranteed sufficient decrease".
    """
    slope = float(d @ at.gradient)
    if not slope < 0:
        return None
    search = MoreThuente(at.value, slope, first)
    for _ in range(MOST_TRIALS):
        theta = at.theta + search.step * d
        value, g = f(theta)
        at.evaluations += 1
        g = g.astype(np.float64)
        if search.judge(value, float(d @ g)):
            return search.step, Iterate(theta, value, g, at.evaluations)
    return None


class MoreThuente:
    """The interval [low, high] that brackets a good step, and the next step to try.

    Parameters
    ----------
    value, slope : float
        The objective and its directional derivative at step 0.
    first : float
        The first step to try.
    """

    def __init__(self, value: float, slope: float, first: float) -> None:
        self.value0, self.slope0 = value, slope
        self.step = first
        self.bracketed = False
        self.early = True  # while no step with enough decrease and a non-negative slope was seen
        self.low = self.high = (0.0, value, slope)
        self.width, self.previous = LONGEST_STEP, 2 * LONGEST_STEP
        self.bounds = 0.0, 5.0 * first

    def judge(self, value: float, slope: float) -> bool:
        """Whether the step just tried is good; if not, `step` is the next one."""
        enough = SUFFICIENT_DECREASE * self.slope0
        line = self.value0 + self.step * enough
        if self.early and value <= line and slope >= 0:
            self.early = False
        if self._exhausted(value, line, slope, enough):
            return True
        if value <= line and abs(slope) <= -CURVATURE * self.slope0:
            return True
        self._narrow(value, slope, enough, line)
        return False

    def _exhausted(self, value: float, line: float, slope: float, enough: float) -> bool:
        low, high = self.bounds
        if self.bracketed and (self.step <= low or self.step >= high):
            return True
        if self.bracketed and high - low <= WIDTH * high:
            return True
        at_most = self.step >= LONGEST_STEP and value <= line and slope <= enough
        return at_most or (self.step <= 0 and (value > line or slope >= enough))

    def _narrow(self, value: float, slope: float, enough: float, line: float) -> None:
        tried = (self.step, value, slope)
        if self.early and value <= self.low[1] and value > line:
            # Work on the auxiliary function, which measures progress beyond the line.
            low, high = _tilt(self.low, enough), _tilt(self.high, enough)
            low, high, step, self.bracketed = safeguarded(
                low, high, _tilt(tried, enough), self.bracketed, self.bounds
            )
            self.low, self.high = _tilt(low, -enough), _tilt(high, -enough)
        else:
            self.low, self.high, step, self.bracketed = safeguarded(
                self.low, self.high, tried, self.bracketed, self.bounds
            )
        if self.bracketed:
            distance = abs(self.high[0] - self.low[0])
            if distance >= 0.66 * self.previous:
                step = self.low[0] + 0.5 * (self.high[0] - self.low[0])
            self.previous, self.width = self.width, distance
            self.bounds = min(self.low[0], self.high[0]), max(self.low[0], self.high[0])
        else:
            self.bounds = step + 1.1 * (step - self.low[0]), step + 4.0 * (step - self.low[0])
        step = min(max(step, 0.0), LONGEST_STEP)
        low_bound, high_bound = self.bounds
        if self.bracketed and (
            step <= low_bound or step >= high_bound or high_bound - low_bound <= WIDTH * high_bound
        ):
            step = self.low[0]
        self.step = step


Point = tuple[float, float, float]  # step, value, slope


def _tilt(point: Point, by: float) -> Point:
    step, value, slope = point
    return step, value - step * by, slope - by


def _cubic(a: Point, b: Point, *, clip: bool = False) -> tuple[float, float, float]:
    """theta and gamma of the cubic through two points with slopes, and gamma's sign for going from b to a."""
    theta = 3 * (a[1] - b[1]) / (b[0] - a[0]) + a[2] + b[2]
    s = max(abs(theta), abs(a[2]), abs(b[2]))
    inside = (theta / s) ** 2 - (a[2] / s) * (b[2] / s)
    return theta, s * np.sqrt(max(inside, 0.0) if clip else inside), s


def safeguarded(
    low: Point, high: Point, tried: Point, bracketed: bool, bounds: tuple[float, float]
) -> tuple[Point, Point, float, bool]:
    """The new interval and the next step, from cubic and quadratic interpolation (dcstep of MINPACK-2)."""
    opposite = tried[2] * np.sign(low[2]) < 0
    if tried[1] > low[1]:
        step, bracketed = _higher(low, tried), True
    elif opposite:
        step, bracketed = _crossed(low, tried), True
    elif abs(tried[2]) < abs(low[2]):
        step = _flatter(low, high, tried, bracketed, bounds)
    else:
        step = _steeper(low, high, tried, bracketed, bounds)
    if tried[1] > low[1]:
        return low, tried, step, bracketed
    return tried, (low if opposite else high), step, bracketed


def _higher(low: Point, tried: Point) -> float:
    theta, gamma, _ = _cubic(low, tried)
    gamma = -gamma if tried[0] < low[0] else gamma
    r = ((gamma - low[2]) + theta) / (((gamma - low[2]) + gamma) + tried[2])
    cubic = low[0] + r * (tried[0] - low[0])
    q = ((low[2] / ((low[1] - tried[1]) / (tried[0] - low[0]) + low[2])) / 2) * (tried[0] - low[0])
    quadratic = low[0] + q
    if abs(cubic - low[0]) < abs(quadratic - low[0]):
        return cubic
    return cubic + (quadratic - cubic) / 2


def _crossed(low: Point, tried: Point) -> float:
    theta, gamma, _ = _cubic(low, tried)
    gamma = -gamma if tried[0] > low[0] else gamma
    r = ((gamma - tried[2]) + theta) / (((gamma - tried[2]) + gamma) + low[2])
    cubic = tried[0] + r * (low[0] - tried[0])
    quadratic = tried[0] + (tried[2] / (tried[2] - low[2])) * (low[0] - tried[0])
    return cubic if abs(cubic - tried[0]) > abs(quadratic - tried[0]) else quadratic


def _flatter(low: Point, high: Point, tried: Point, bracketed: bool, bounds: tuple[float, float]) -> float:
    theta, gamma, _ = _cubic(low, tried, clip=True)
    gamma = -gamma if tried[0] > low[0] else gamma
    r = ((gamma - tried[2]) + theta) / ((gamma + (low[2] - tried[2])) + gamma)
    if r < 0 and gamma != 0:
        cubic = tried[0] + r * (low[0] - tried[0])
    else:
        cubic = bounds[1] if tried[0] > low[0] else bounds[0]
    quadratic = tried[0] + (tried[2] / (tried[2] - low[2])) * (low[0] - tried[0])
    near, far = sorted((cubic, quadratic), key=lambda step: abs(step - tried[0]))
    if not bracketed:
        return min(max(far, bounds[0]), bounds[1])
    limit = tried[0] + 0.66 * (high[0] - tried[0])
    return min(limit, near) if tried[0] > low[0] else max(limit, near)


def _steeper(low: Point, high: Point, tried: Point, bracketed: bool, bounds: tuple[float, float]) -> float:
    if not bracketed:
        return bounds[1] if tried[0] > low[0] else bounds[0]
    theta, gamma, _ = _cubic(tried, high)
    gamma = -gamma if tried[0] > high[0] else gamma
    r = ((gamma - tried[2]) + theta) / (((gamma - tried[2]) + gamma) + high[2])
    return tried[0] + r * (high[0] - tried[0])


# ------------------------------------------------------------------ Levenberg-Marquardt

NormalEquations = Callable[[Array], tuple[float, Array, Array]]


def levenberg_marquardt(
    f: Callable[[Array], float],
    equations: NormalEquations,
    theta: Array,
    *,
    damping: float = 1e-3,
    increase: float = 10.0,
    decrease: float = 0.1,
    max_damping: float = 1e10,
    tol: float = 1e-7,
    start: Iterate | None = None,
) -> Iterator[Iterate]:
    """Minimise half of a sum of squares; yields after each iteration, the last time with a status.

    Parameters
    ----------
    f : callable
        ``f(theta) -> value``.
    equations : callable
        ``equations(theta) -> (value, g, H)``: the gradient J'e and the Gauss-Newton matrix J'J, of
        shape (parameters, parameters), each with the penalties' share.
    theta : ndarray of shape (parameters,)
    damping : float
        First mu. It is multiplied by `decrease` after a step that helps, by `increase` after one that
        does not; training ends when it passes `max_damping`.
    tol : float
        Ends when no entry of the gradient is larger.
    start : Iterate, optional
        Where to go on from, in place of theta and damping.

    Source: Marquardt 1963, SIAM J. 11; Hagan & Menhaj 1994, IEEE Trans. Neural Netw. 5.
    """
    value, g, H = equations(theta if start is None else start.theta)
    at = start or Iterate(theta.astype(np.float64), value, g, damping=damping)
    mu = at.damping
    if np.max(np.abs(g)) <= tol:
        at.status = "gradient"
        yield at
        return
    while not at.status:
        step = damped_step(H, g, mu)
        new = np.inf if step is None else f(at.theta - step)
        at.evaluations += 1
        if step is not None and new < at.value:
            theta = at.theta - step
            value, g, H = equations(theta)
            mu = max(mu * decrease, 1e-20)
            at = Iterate(theta, value, g, at.evaluations, damping=mu)
            if np.max(np.abs(g)) <= tol:
                at.status = "gradient"
            yield at
        elif mu > max_damping:
            at.status = "damping"
            yield at
        else:
            mu *= increase


def damped_step(H: Array, g: Array, mu: float) -> Array | None:
    """Solve (H + mu I) step = g; None where the matrix is not positive definite to rounding."""
    damped = H.copy()
    damped.flat[:: len(H) + 1] += mu
    try:
        L = np.linalg.cholesky(damped)
    except np.linalg.LinAlgError:
        return None
    half = np.linalg.solve(L, g)
    step: Array = np.linalg.solve(L.T, half)
    return step if np.isfinite(step).all() else None
