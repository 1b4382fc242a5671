"""The regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d

from chainrule.equations import LOSSES
from chainrule.errors import DataError, OptionError
from chainrule.estimator_base import BaseMLP, fit_context, partial_fit_available
from chainrule.estimator_docs import documented
from chainrule.estimator_file import from_contents, save, to_contents
from chainrule.parameters import Array
from chainrule.refusals import refuse_disguised, validated


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """A multilayer perceptron for numbers, one or several at once.

    Parameters
    ----------
    loss : str, default='squared_error'
        'squared_error', 'poisson', or any other regression loss of the table: 'absolute_error',
        'huber(delta=1.0)', 'log_cosh', 'quantile(q=0.9)'.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, units) and biases (units,) of each layer; views of `theta_`.
    theta_ : ndarray of shape (parameters,)
        All parameters in one vector.
    loss_, loss_curve_, best_loss_ : float, list of float, float
        Last loss, the loss of each epoch, the lowest.
    validation_scores_, best_validation_score_ : list of float, float
        With early stopping.
    history_ : dict of str to list of float
        "loss" and each tracked metric, an entry an epoch.
    n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.
    network_ : chainrule.Network
        The description of the network.
    stop_reason_ : str
        Why training ended.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MLPRegressor
    >>> X = np.linspace(-3, 3, 100)[:, None]
    >>> model = MLPRegressor(
    ...     hidden_layer_sizes=(8,), activation="tanh", solver="levenberg_marquardt", random_state=0
    ... )
    >>> bool(model.fit(X, np.sin(X).ravel()).score(X, np.sin(X).ravel()) > 0.999)
    True
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        l1=0.0,
        penalty_scaling="batch",
        metric=None,
        track=(),
        callbacks=(),
        init="auto",
        init_weights=None,
        engine="compiled",
        checkpoint=None,
        checkpoint_every=60.0,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.l1 = l1
        self.penalty_scaling = penalty_scaling
        self.metric = metric
        self.track = track
        self.callbacks = callbacks
        self.init = init
        self.init_weights = init_weights
        self.engine = engine
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # -------------------------------------------------------------- targets

    def _loss_name(self) -> str:
        if LOSSES.find(self.loss).task != "regression":
            raise OptionError(f"{self.loss!r} is a loss for classes: use MLPClassifier for them.")
        return str(self.loss)

    def _validate(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        refuse_disguised(y, "y")
        X, y = validated(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if LOSSES.find(self.loss).targets == "nonnegative" and (y < 0).any():
            row = int(np.argwhere(y < 0)[0][0])
            raise DataError(
                f"The loss {self.loss!r} needs y of at least 0, but y in row {row} is {y[row]}: "
                "use another loss or shift the target."
            )
        return X, y

    def _encode(self, y: Any) -> Any:
        return np.reshape(y, (len(y), -1))

    def _decode(self, Y: Any) -> Any:
        return self._from_output(Y)

    def _stratified(self) -> bool:
        return False

    def _default_metric(self) -> Any:
        return r2_score

    def _from_output(self, output: Array) -> Array:
        return output.ravel() if output.shape[1] == 1 else output

    # -------------------------------------------------------------- fit and predict

    @fit_context
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Any:
        """Train on rows and their targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative.
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Rows of your own to stop by, in place of a part of the training rows.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If the data cannot be used; the message says where.
        DivergenceError
            If the loss became infinite or not a number; the last finite weights are kept.
        """
        return self._fit(X, y, sample_weight, incremental=False, validation=validation_data)

    @partial_fit_available
    @fit_context
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on the given rows, going on from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _predicted(self, output: Array) -> Array:
        return self._from_output(output)

    def predict(self, X: Any) -> Array:
        """The predicted number (or numbers) of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._from_output(self._output(self._input(X)))

    save = save
    to_contents = to_contents
    from_contents = classmethod(from_contents)
