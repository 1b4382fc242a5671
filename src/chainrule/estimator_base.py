"""What the classifier and the regressor share: from scikit-learn's parameters to a training run and back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from chainrule import estimator_random, row_weights, train
from chainrule.check import entry_name
from chainrule.equations import OPTIMISERS
from chainrule.errors import OptionError
from chainrule.estimator_data import DataMixin, to_rows
from chainrule.estimator_diagnosis import DiagnosisMixin
from chainrule.estimator_metrics import MetricsMixin
from chainrule.estimator_options import OptionsMixin
from chainrule.estimator_outcome import OutcomeMixin
from chainrule.estimator_training import TrainingMixin
from chainrule.parameters import Array, Layout, initial
from chainrule.predictor import Predictor, is_plain
from chainrule.problem import Batch, Objective
from chainrule.refusals import first_where, validated
from chainrule.spec import Training

LINKS = {"sigmoid": "logistic", "exponential": "exp"}  # scikit-learn's names of output activations


class BaseMLP(
    OptionsMixin,
    DataMixin,
    MetricsMixin,
    DiagnosisMixin,
    TrainingMixin,
    OutcomeMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base class of the two estimators; not for direct use."""

    # -------------------------------------------------------------- parameters

    def _expose(self, theta: Array) -> None:
        """coefs_ and intercepts_ are views of the flat parameters."""
        layout = Layout(self.network_)
        self.theta_ = theta
        self.coefs_ = layout.views(theta, "W")
        self.intercepts_ = layout.views(theta, "b")
        self._exposed = [*self.coefs_, *self.intercepts_]

    def _current(self) -> Array:
        """The flat parameters; arrays that a user has put into coefs_ or intercepts_ are taken over."""
        lists = self.coefs_, self.intercepts_
        if all(map(is_, chain(*lists), self._exposed)):
            return self.theta_
        foreign = any(not np.may_share_memory(array, self.theta_) for arrays in lists for array in arrays)
        if foreign:
            self._expose(Layout(self.network_).pack(*lists))
        return self.theta_

    def _draw(self) -> Array:
        if self.init_weights is not None:
            return self._packed(*self.init_weights)
        depth = len(self.network_.layers)
        if self.init != "auto":
            names = self.init if isinstance(self.init, str) else list(self.init)
            return initial(self.network_, self._random_state, names)
        gain = 3**-0.5 if self.activation == "logistic" else 1.0
        return initial(self.network_, self._random_state, "scikit_learn", [gain] * depth)

    def _packed(self, *arrays: Any) -> Array:
        theta = Layout(self.network_).pack(*arrays)
        bad = first_where(lambda values: ~np.isfinite(values), theta)
        if bad is not None:
            where = entry_name(self._objective(), bad[0][0])
            raise OptionError(f"init_weights must be finite, but {where} is {bad[1]}: correct it.")
        return theta

    def _initialise(self, n_features: int, n_outputs: int, dtype: str) -> None:
        self.n_iter_, self.t_ = 0, 0
        self.n_outputs_ = n_outputs
        self.network_ = self._make_network(n_features, n_outputs, dtype)
        self._check_size(self.network_)
        self.n_layers_ = len(self.network_.widths)
        link = self.network_.loss_row.link
        self.out_activation_ = LINKS.get(link, link)
        try:
            self._expose(self._draw())
        except MemoryError:
            raise OptionError(self._too_large(Layout(self.network_).size)) from None
        # Drawn from a stream of its own, so that the shuffles stay those of scikit-learn.
        self._dropout_seed = int(self._random_state.get_state()[1][0])
        self._state = None
        self._split: Any = None
        if self._is_stochastic():
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _is_stochastic(self) -> bool:
        return not OPTIMISERS.find(self._optimiser()).full_batch

    # -------------------------------------------------------------- fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, validation: Any = None) -> Any:
        self._hidden()
        self._check_options()
        fresh = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate(X, y, reset=fresh, incremental=incremental)
        X = to_rows(X)
        weight = self._weights(X, y, sample_weight)
        Y = self._targets(y, X.dtype)
        if not incremental or not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        random = estimator_random.digest_of(self.random_state) if self.checkpoint is not None else None
        if fresh:
            self._initialise(X.shape[1], Y.shape[1], X.dtype.name)
        if self.early_stopping and incremental:
            raise OptionError("partial_fit does not support early_stopping=True")
        batch = Batch(X, Y, weight)
        keeper = None if incremental else self._keeper(batch, validation, random, fresh=fresh)
        data, held = self._hold_out(batch, y, validation)
        training = self._training(len(data))
        state = self._make_state(training, incremental=incremental)
        self.stop_reason_, self._stop_detail = "error", ""  # if one ends training
        first, begun = self._begin(training, state, data, keeper, incremental=incremental)
        outcome = self._train(training, data, held, state, keeper, incremental=incremental)
        self._new_losses = state.history.get("loss", [])[begun:]
        self._note_end(first, state.theta, data, held, incremental=incremental)
        self._finish(training, state, outcome, data, incremental=incremental)
        return self

    def _callbacks(self) -> Sequence[train.Callback]:
        return self.callbacks if isinstance(self.callbacks, (list, tuple)) else [self.callbacks]

    def _report(self, epoch: train.Epoch, monitor: train.Monitor | None) -> None:
        print(f"Iteration {epoch.number:d}, loss = {epoch.loss:.8f}")
        if monitor is not None:
            print(f"Validation score: {epoch.validation:f}")

    # -------------------------------------------------------------- after fitting

    def _finish(
        self,
        training: Training,
        state: train.State,
        outcome: train.Outcome,
        data: Batch,
        *,
        incremental: bool,
    ) -> None:
        self._expose(state.theta)
        self.stop_reason_, self._stop_detail = outcome.reason, outcome.detail
        self.n_iter_ = outcome.epochs
        if self._new_losses:
            self.loss_ = self._new_losses[-1]
        if self._is_stochastic():
            self.t_ = state.samples
            self.loss_curve_ += self._new_losses
            self._store_scores(state)
        self._complain(outcome, incremental=incremental)

    def _store_scores(self, state: train.State) -> None:
        name = next((k for k in state.history if k.startswith("validation_")), None)
        stopped = name is not None and state.best_theta is not None
        if stopped and (self.early_stopping or self.validation_scores_ is None):
            label = self.metric if isinstance(self.metric, str) else "score"
            self.validation_scores_ = state.history[f"validation_{label}"]
            self.best_validation_score_ = state.best_value if label == "loss" else -state.best_value
            self.best_loss_ = None
        elif not stopped:
            self.best_loss_ = state.best_value

    def _check_solver(self) -> bool:
        if not self._is_stochastic():
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # -------------------------------------------------------------- prediction

    def _run(self) -> Any:
        """A run for this thread: a run's workspace must not be shared."""
        runs = self.__dict__.setdefault("_runs", threading.local())  # a loaded model has none
        if getattr(runs, "run", None) is None:
            runs.run = train.make_run(Objective(self.network_), Training(), self.engine)
        return runs.run

    def _output(self, X: Any) -> Array:
        """Predictions of the network for validated rows, of shape (n, outputs)."""
        X = to_rows(X)
        return self._finite(X, self._run().predict(self._current(), X))

    def _rows(self, X: Any) -> Any:
        return to_rows(self._input(X))

    def _input(self, X: Any) -> Any:
        if is_plain(self, X):
            return X
        check_is_fitted(self)
        return validated(
            self, X, accept_sparse=["csr", "csc"], dtype=np.dtype(self.network_.dtype), reset=False
        )

    @property
    def _n_features_out(self) -> int:
        return self.network_.widths[self._feature_layer(None) + 1]

    def _feature_layer(self, layer: int | None) -> int:
        depth = len(self.network_.layers)
        if layer is None:
            return max(depth - 2, 0)
        if not -depth <= layer < depth:
            raise OptionError(
                f"layer={layer} does not exist: this network has layers 0 to {depth - 1} (or {-depth} to -1)."
            )
        return layer % depth

    def transform(self, X: Any, layer: int | None = None) -> Array:
        """Values of one layer, after its activation: features that the network has learnt.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        layer : int, optional
            0 is the first hidden layer, -1 the output layer before its link (logits). By default the
            last hidden layer.

        Returns
        -------
        ndarray of shape (n_samples, units of the layer)

        Raises
        ------
        OptionError
            If there is no such layer.
        """
        X = self._rows(X)
        return self._finite(X, self._run().values(self._current(), X, self._feature_layer(layer)))

    def predictor(self) -> Predictor:
        """A function that predicts single rows in a few microseconds.

        Returns
        -------
        Predictor

        Examples
        --------
        >>> from chainrule import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((16,), "tanh", solver="lbfgs", random_state=0).fit(X, y)
        >>> predict = model.predictor()
        >>> float(predict(X[60]).sum().round(6))
        1.0
        """
        check_is_fitted(self)
        return Predictor(self.network_, self._current(), self._predicted, self.engine)

    def problem(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[Objective, Array, Batch]:
        """What this model minimises on the given rows: for checks and explanations.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Class weights, if the model was fitted with some, come on top, as `fit` found them.

        Returns
        -------
        objective : Objective
        theta : ndarray of shape (parameters,)
        batch : Batch
        """
        X, y = self._rows(X), np.asarray(y)
        weight = None if sample_weight is None else row_weights.checked(sample_weight, X)
        if hasattr(self, "class_weight_"):
            by_class = row_weights.by_class(self.class_weight_, y, self.classes_).astype(X.dtype)
            weight = row_weights.product(weight, by_class)
        return self._objective(), self._current(), Batch(X, self._encode(y).astype(X.dtype), weight)

    def __getstate__(self) -> Any:
        state = dict(super().__getstate__())
        state.pop("_runs", None)
        state.pop("_exposed", None)
        return state

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if "theta_" in state:  # after unpickling, arrays share no memory any more
            self._expose(Layout(self.network_).pack(self.coefs_, self.intercepts_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


partial_fit_available = available_if(lambda model: model._check_solver())
fit_context = _fit_context(prefer_skip_nested_validation=True)
