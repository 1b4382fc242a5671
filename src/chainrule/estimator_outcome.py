"""The part of an estimator that says how training ended, where it did not end as it should."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule import train
from chainrule.errors import DataError, DivergenceError, TrainingWarning
from chainrule.parameters import Array

LEVEL = 6  # of the stack: the line that called fit
ENDED = ("converged", "stuck", "evaluations")


class OutcomeMixin:
    """Errors and warnings after training, and of predictions that are none."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators

        def __getattr__(self, name: str) -> Any: ...

    def _complain(self, outcome: train.Outcome, *, incremental: bool) -> None:
        if outcome.reason == "diverged":
            raise DivergenceError(self._divergence())
        if outcome.reason == "interrupted":
            warnings.warn(
                "Training interrupted by user. The last finite weights were kept.", stacklevel=LEVEL
            )
        if incremental:
            return
        failure = self._failure(outcome)
        if failure:
            warnings.warn(failure, TrainingWarning, stacklevel=LEVEL)
        elif outcome.reason == "epochs":
            warnings.warn(self._not_converged(), ConvergenceWarning, stacklevel=LEVEL)
        if outcome.reason in ("evaluations", "stuck"):
            warnings.warn(
                f"{self.solver} failed to converge after {outcome.epochs} iteration(s) and "
                f"{outcome.evaluations} evaluations of the loss. You might want to scale the data or "
                "increase max_fun.",
                ConvergenceWarning,
                stacklevel=LEVEL,
            )

    def _failure(self, outcome: train.Outcome) -> str:
        """What to say of a network that is worse than none; nothing of any other.

        A training that used up its epochs may just need more of them, so there only a loss that grew
        without bound counts.
        """
        before, after = (getattr(moment, "fit", None) for moment in (self._notes.begin, self._notes.end))
        if before is None or after is None or not after.baseline:
            return ""
        useless = outcome.reason in ENDED and after.loss > after.baseline
        found = self._warnings() if useless or after.loss > before.loss else {}
        if not found or not (useless or "diverged" in found):
            return ""
        return (
            f"The network fits its training rows worse than always predicting the mean would: its loss is "
            f"{after.loss:.3g} on a sample of them, against {after.baseline:.3g}. {' '.join(found.values())}"
        )

    def _warnings(self) -> dict[str, str]:
        """What the diagnosis warns of."""
        return {f.name: str(f) for f in self.diagnose() if f.severity == "warning"}

    def _not_converged(self) -> str:
        if self._is_stochastic():
            return (
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter:d}) reached and the optimization "
                "hasn't converged yet. " + " ".join(self._warnings().values())
            ).rstrip()
        return (
            f"{self.solver} failed to converge after {self.n_iter_} iteration(s) (status=1):\n"
            "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT\n\n"
            f"Increase the number of iterations to improve the convergence (max_iter={self.max_iter}).\n"
            "You might also want to scale the data."
        )

    def _finite(self, X: Any, output: Array) -> Array:
        """The output, unless a row's values were too large to compute one."""
        if np.isfinite(output).all():
            return output
        if self.__dict__.get("stop_reason_") == "diverged" or not np.isfinite(self.theta_).all():
            raise DataError(
                "The prediction is not finite, for the network's weights are not, or are too large since its "
                "training diverged: fit it again, with a lower learning rate."
            )
        row = int(np.argmin(np.isfinite(output).all(axis=1)))
        values = X[[row]].toarray().ravel() if hasattr(X, "toarray") else X[row]
        column = int(np.argmax(np.abs(values)))
        raise DataError(
            f"The prediction of row {row} is not finite, for its values are too large for this network: "
            f"X[{row}, {column}] is {values[column]:g}. Scale the rows as those in training were."
        )
