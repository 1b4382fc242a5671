"""`MLPClassifier` and `MLPRegressor`: scikit-learn's two classes, and what their users have asked for.

A program written for `sklearn.neural_network` runs unchanged after its import line is changed, and with
the same `random_state` it finds the same weights to rounding. Documented differences:

- losses are exact at any logit (scikit-learn clips probabilities);
- with several regression outputs, `loss_` is the sum over outputs, which is what is minimised
  (scikit-learn reports the mean over outputs and descends the sum);
- `partial_fit` goes on with the stream of shuffles, so N calls equal `fit` for N epochs, bit for bit;
- `warm_start` keeps the validation rows of the first fit;
- a model that diverges keeps its last finite weights, beside raising.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from chainrule.equations import LOSSES
from chainrule.errors import DataError, OptionError
from chainrule.estimator_base import BaseMLP, fit_context, partial_fit_available
from chainrule.estimator_file import from_contents, save, to_contents
from chainrule.parameters import Array

COMMON = """
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer, at least 1.
    activation : str or list of str, default='relu'
        A name of the activation table, with parameters if wished ("leaky_relu(alpha=0.2)"), for all
        hidden layers, or one for each.
    solver : str, default='adam'
        'adam', 'sgd', 'lbfgs', or any other name of the optimiser table.
    alpha : float, default=0.0001
        Strength of the L2 penalty, at least 0.
    batch_size : int or 'auto', default='auto'
        Rows in a mini-batch; 'auto' is min(200, n_samples).
    learning_rate : str, default='constant'
        'constant', 'invscaling', 'adaptive', or any other name of the schedule table.
    learning_rate_init : float, default=0.001
        Initial learning rate, positive.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs (iterations, for a full-batch solver).
    shuffle : bool, default=True
        Whether each epoch sees the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the validation split, the shuffles and dropout.
    tol : float, default=1e-4
        Least improvement that counts.
    verbose : bool, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the present weights.
    momentum, nesterovs_momentum : float, bool
        Of the solver 'sgd'.
    early_stopping : bool, default=False
        Hold out rows, stop when their score stops to improve, and restore the best weights.
    validation_fraction : float, default=0.1
        Share of the rows that is held out.
    beta_1, beta_2, epsilon : float
        Of the solver 'adam'.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement before training stops.
    max_fun : int, default=15000
        Most evaluations of the loss, for 'lbfgs'.
    dropout : float or list of float, default=0.0
        Share of hidden values dropped while training, in [0, 1).
    l1 : float, default=0.0
        Strength of the L1 penalty.
    penalty_scaling : {'batch', 'none'}, default='batch'
        'batch' divides penalties by the rows of the batch, as scikit-learn does; 'none' takes their
        strengths as they are, whatever the batch size.
    metric : None, str or callable, default=None
        What early stopping goes by: the default score, 'loss', the name of a scikit-learn scorer, or
        a function ``metric(y_true, y_pred)`` of which more is better.
    track : list of str or callable, default=()
        Further metrics for `history_`, on the training rows and, with a prefix "validation_", on the
        held-out ones.
    callbacks : list of callable, default=()
        Each is called with a `chainrule.train.Epoch` after every epoch; True ends training.
    init : str or list of str, default='auto'
        A name of the initialiser table, for all layers or for each; 'auto' draws as scikit-learn does.
    init_weights : (coefs, intercepts) or None, default=None
        Given initial weights, a list of arrays each.
    engine : {'compiled', 'interpreted'}, default='compiled'
        Which run of the same equations is used.
"""


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron for classes: binary, many, or several labels at once.

    Parameters
    ----------
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes.
    loss : {'log_loss'}, default='log_loss'
        Cross-entropy: binary or categorical, as the target asks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
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
    >>> from chainrule import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, str, None],
    }

    def __init__(
        self,
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
        loss="log_loss",
        class_weight=None,
        dropout=0.0,
        l1=0.0,
        penalty_scaling="batch",
        metric=None,
        track=(),
        callbacks=(),
        init="auto",
        init_weights=None,
        engine="compiled",
    ):
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
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.l1 = l1
        self.penalty_scaling = penalty_scaling
        self.metric = metric
        self.track = track
        self.callbacks = callbacks
        self.init = init
        self.init_weights = init_weights
        self.engine = engine

    # -------------------------------------------------------------- targets

    def _loss_name(self) -> str:
        if self.loss != "log_loss":
            raise OptionError(f"loss must be 'log_loss' for a classifier, not {self.loss!r}.")
        kind = getattr(getattr(self, "_label_binarizer", None), "y_type_", "binary")
        return "categorical_cross_entropy" if kind == "multiclass" else "binary_cross_entropy"

    def _validate(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(y)
        return X, y

    def _check_classes(self, y: Any) -> None:
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise DataError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise DataError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )

    def _encode(self, y: Any) -> Any:
        Y = self._label_binarizer.transform(y)
        return Y.toarray() if hasattr(Y, "toarray") else Y

    def _decode(self, Y: Any) -> Any:
        return self._from_output(Y)

    def _stratified(self) -> bool:
        return self.n_outputs_ == 1

    def _default_metric(self) -> Any:
        return accuracy_score

    def _from_output(self, output: Array) -> Any:
        flat = output.ravel() if self.n_outputs_ == 1 else output
        return self._label_binarizer.inverse_transform(flat)

    def _probabilities(self, output: Array) -> Array:
        if self.n_outputs_ > 1:
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        return np.hstack([1 - output, output])

    # -------------------------------------------------------------- fit and predict

    @fit_context
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Any:
        """Train on rows and their classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or, for several labels, (n_samples, n_labels)
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch on the given rows, going on from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array of shape (n_classes,), default=None
            All classes that any call may see; needed at the first.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._from_output(self._output(self._input(X)))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class (of each label by itself, where there are several).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In [0, 1]; columns are ordered as `classes_`.
        """
        return self._probabilities(self._output(self._input(X)))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        probability = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probability, out=probability)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    save = save
    to_contents = to_contents
    from_contents = classmethod(from_contents)


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
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

    # -------------------------------------------------------------- targets

    def _loss_name(self) -> str:
        if LOSSES.find(self.loss).task != "regression":
            raise OptionError(f"{self.loss!r} is a loss for classes: use MLPClassifier for them.")
        return str(self.loss)

    def _validate(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        X, y = validate_data(
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

    def predict(self, X: Any) -> Array:
        """The predicted number (or numbers) of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        return self._from_output(self._output(self._input(X)))

    save = save
    to_contents = to_contents
    from_contents = classmethod(from_contents)
