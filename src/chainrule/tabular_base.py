"""What the classifier and the regressor for tables share: from a table to trained networks and back."""

from __future__ import annotations

import math
import threading
import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from chainrule import row_weights, tabular_input, tabular_metrics, tabular_recipe, train
from chainrule.column_values import Frame, Numbers
from chainrule.errors import DataError, OptionError, TrainingWarning
from chainrule.parameters import Array
from chainrule.problem import Batch, Objective
from chainrule.spec import Network, Training
from chainrule.tabular_columns import Matrix
from chainrule.tabular_encoder import TableEncoder
from chainrule.tabular_ensemble import Ensemble, lots
from chainrule.tabular_importances import Importances, permuted
from chainrule.tabular_member import REASONS, Held, Lot
from chainrule.tabular_metrics import Metric
from chainrule.tabular_options import OptionsMixin
from chainrule.tabular_recipe import Task
from chainrule.tabular_time import Clock

fit_context = _fit_context(prefer_skip_nested_validation=True)
LEVEL = 6  # from a warning to the line that called fit


@dataclass
class Given:
    """Rows of a table with their target.

    Attributes
    ----------
    frame : narwhals.DataFrame
    y : ndarray of shape (n,)
        Numbers of the classes, or the numbers to be predicted in their own unit.
    weights : ndarray of shape (n,) or None
    """

    frame: Frame
    y: Any
    weights: Array | None = None

    def weights_of(self, rows: Any) -> Array | None:
        """The weights of some rows."""
        return None if self.weights is None else self.weights[rows]

    def light_weights(self) -> Array | None:
        """The weights as a network takes them, with mean 1 so that none is too small for single precision."""
        return None if self.weights is None else (self.weights / self.weights.mean()).astype(np.float32)


@dataclass
class Judging:
    """The rows that members are judged by: what `Given` has, and its matrix."""

    given: Given
    X: Matrix


class BaseTabular(OptionsMixin, BaseEstimator):
    """Base class of the two estimators for tables; not for direct use."""

    task: ClassVar[str]

    if TYPE_CHECKING:  # what each task does in its own way

        def _task(self) -> Task: ...

        # The target of the rows to train on, from which its classes are learnt: their numbers, or numbers.
        def _learn_target(self, y: Any, frame: Frame) -> Any: ...

        # The same for rows that the model is not trained on.
        def _known_target(self, y: Any, frame: Frame, name: str) -> Any: ...

        # Learns from the target of training rows how it is scaled.
        def _learn_scale(self, y: Any) -> None: ...

        # What the network's loss wants, of shape (n, outputs).
        def _network_targets(self, y: Any) -> Array: ...

        # What the values of one network say: probabilities, or numbers in the target's own unit.
        def _outcome(self, values: Array) -> Numbers: ...

        # The same of all networks together, from values of shape (members, n, outputs).
        def _mean_outcome(self, values: Array) -> Numbers: ...

        # Learns from validation rows how sure the networks may be.
        def _calibrate(self, judging: Judging, rows: list[Any], evaluated: bool, seed: int) -> None: ...

    # -------------------------------------------------------------- fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, eval_set: Any) -> Any:
        clock = Clock(self.time_limit)
        options = self._recipe_options()
        given = self._given(X, y, sample_weight)
        metric = tabular_metrics.find(self.metric, self.task, getattr(self, "classes_", None))
        evaluated = None if eval_set is None else self._evaluated(eval_set)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        groups = given.y if self.task == "classification" else np.zeros(len(given.y), dtype=np.int64)
        count = None if evaluated is None else len(evaluated.y)
        parts = lots(groups, self.n_members, float(self.validation_fraction), seed, count)
        matrix = self._encode(given, parts)
        judging = Judging(given, matrix)
        if evaluated is not None:
            judging = Judging(evaluated, self.encoder_.transform(evaluated.frame))
        made = tabular_recipe.recipe(self._task(), self.encoder_.layout, len(parts[0].training), options)
        self._expose(made.network, Objective(made.network, made.penalties), made.training)
        ensemble = Ensemble(
            made,
            Batch(matrix, self._network_targets(given.y), given.light_weights()),
            parts,
            lambda rows: self._held(metric, judging, rows),
            jobs=self.n_jobs,
            engine=self.engine,
            clock=clock,
        )
        self._keep(ensemble, metric, judging, evaluated is not None, seed)
        return self

    def _given(self, X: Any, y: Any, sample_weight: Any) -> Given:
        frame = tabular_input.table(self, X, y, reset=True)
        if len(frame) < 2:
            raise DataError("Found 1 sample in X: there is nothing to learn from one row. Give two or more.")
        y = self._learn_target(y, frame)
        if sample_weight is None:
            return Given(frame, y)
        weights = row_weights.checked(sample_weight, np.empty((len(frame), 1)))
        counted = np.flatnonzero(weights)
        if len(counted) < len(weights):  # a row of no weight is as good as none, everywhere
            frame, y, weights = frame[counted], y[counted], weights[counted]
        return Given(frame, y, None if (weights == weights[0]).all() else weights)

    def _evaluated(self, eval_set: Any) -> Given:
        if not isinstance(eval_set, (list, tuple)) or len(eval_set) != 2:
            raise OptionError("eval_set must be (X, y): rows to stop by, and their target.")
        frame = tabular_input.table(self, eval_set[0], reset=False, name="eval_set's X")
        return Given(frame, self._known_target(eval_set[1], frame, "eval_set's y"))

    def _encode(self, given: Given, parts: list[Lot]) -> Matrix:
        """The matrix of all rows, by columns that are learnt from those that a member is trained on."""
        chosen = tabular_input.categories(self.cat_features, given.frame)
        rows = parts[0].training if len(parts) == 1 else np.arange(len(given.y))
        self.encoder_ = TableEncoder()
        self._learn_scale(given.y[rows])
        return self.encoder_.fit_transform(
            given.frame, rows, categories=chosen, encoding=tabular_recipe.ENCODING
        )

    def _held(self, metric: Metric, judging: Judging, rows: Any) -> Held:
        y, weights = judging.given.y[rows], judging.given.weights_of(rows)
        return Held(
            np.ascontiguousarray(judging.X[rows]),
            lambda values: metric(y, self._outcome(values), weights),
            metric.loss,
        )

    def _expose(self, network: Network, objective: Objective, training: Training) -> None:
        self.network_, self._objective, self._training = network, objective, training
        self._runs = threading.local()

    def _keep(self, ensemble: Ensemble, metric: Metric, judging: Judging, evaluated: bool, seed: int) -> None:
        """Train, and keep what came of it."""
        trained = ensemble.fit()
        pairs = [(m, lot) for m, lot in zip(trained, ensemble.lots, strict=True) if m is not None]
        self.members_ = [member for member, _ in pairs]
        self._calibrate(judging, [lot.validation for _, lot in pairs], evaluated, seed)
        for member in self.members_:
            member.values = None
        self.report_ = self._report(ensemble, metric)
        self._warn()

    def _warn(self) -> None:
        """Say what ended training as it should not end."""
        facts = [member.facts for member in self.members_]
        diverged = [number for number, f in enumerate(facts, 1) if f["ended_by"] == REASONS["diverged"]]
        if diverged:
            warnings.warn(
                f"Training of network {', '.join(map(str, diverged))} diverged; the weights of its best "
                "epoch before that are used. Lower the learning_rate.",
                TrainingWarning,
                stacklevel=LEVEL,
            )
        if any(f["ended_by"] == REASONS["interrupted"] for f in facts):
            warnings.warn(
                f"Training interrupted by user; {self.report_['cut'][0]}, and their best weights are used.",
                TrainingWarning,
                stacklevel=LEVEL,
            )

    def _report(self, ensemble: Ensemble, metric: Metric) -> dict[str, Any]:
        planned, members = ensemble.recipe.training.epochs, [m.facts for m in self.members_]
        cut = []
        if len(members) < len(ensemble.lots):
            cut.append(f"{len(members)} of {len(ensemble.lots)} networks were trained")
        short = min(facts["planned_epochs"] for facts in members)
        if short < planned:
            cut.append(f"{short} of {planned} epochs were planned")
        stopped = sum(facts["ended_by"] in (REASONS["time"], REASONS["interrupted"]) for facts in members)
        if stopped:
            cut.append(f"{stopped} of {len(members)} networks were ended before their last epoch")
        return {
            "task": self.task,
            "columns": self.encoder_.describe(),
            "metric": metric.name,
            "members": members,
            "cut": cut,
            "parameters": self.members_[0].theta.size,
            "seconds": round(ensemble.clock.spent(), 3),
            "time_limit": None if math.isinf(ensemble.clock.limit) else ensemble.clock.limit,
        }

    # -------------------------------------------------------------- prediction

    def _run(self) -> Any:
        """A run for this thread: a run's workspace must not be shared."""
        runs = self.__dict__.setdefault("_runs", threading.local())  # a loaded model has none
        if getattr(runs, "run", None) is None:
            runs.run = train.make_run(self._objective, Training(), self.engine)
        return runs.run

    def _matrix(self, X: Any) -> Matrix:
        check_is_fitted(self)
        return self.encoder_.transform(tabular_input.table(self, X, reset=False))

    def _values(self, X: Matrix) -> Array:
        """The values of each network for encoded rows, of shape (members, n, outputs)."""
        run = self._run()
        values: Array = np.stack([run.values(member.theta, X) for member in self.members_])
        if not np.isfinite(values).all():
            raise DataError(
                "The prediction is not finite, for the weights are too large since training diverged: fit "
                "the model again, with a lower learning_rate."
            )
        return values

    def importances(
        self,
        X: Any,
        y: Any,
        *,
        metric: Any = None,
        repeats: Any = 5,
        sample_weight: Any = None,
        random_state: Any = 0,
    ) -> Importances:
        """How much each column matters: how much worse the metric gets when its cells are shuffled.

        Take rows that the model was not trained on. Columns that say the same share their importance.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        metric : None, str or callable, default=None
            As of the estimator; by default the estimator's own.
        repeats : int, default=5
            Shuffles of each column, at least 1.
        sample_weight : array-like of shape (n_samples,), default=None
        random_state : int, RandomState instance or None, default=0
            Source of the shuffles.

        Returns
        -------
        Importances

        Raises
        ------
        DataError, OptionError
            If the data or an option cannot be used.
        """
        check_is_fitted(self)
        if isinstance(repeats, bool) or not isinstance(repeats, Integral) or int(repeats) < 1:
            raise OptionError(f"repeats must be a whole number of at least 1, not {repeats!r}.")
        found = tabular_metrics.find(
            self.metric if metric is None else metric, self.task, getattr(self, "classes_", None)
        )
        frame = tabular_input.table(self, X, reset=False)
        y = self._known_target(y, frame, "y")
        weights = None if sample_weight is None else row_weights.checked(sample_weight, np.empty((len(y), 1)))
        blocks = {column.name: self.encoder_.places(column.name) for column in self.encoder_.columns}

        def figure(matrix: Matrix) -> float:
            return found(y, self._mean_outcome(self._values(matrix)), weights)

        return permuted(
            figure,
            self.encoder_.transform(frame),
            blocks,
            found,
            int(repeats),
            check_random_state(random_state),
        )

    # -------------------------------------------------------------- scikit-learn

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "report_")

    def __getstate__(self) -> Any:
        state = dict(super().__getstate__())
        state.pop("_runs", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags
