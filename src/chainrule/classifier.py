"""The classifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import column_or_1d

from chainrule.errors import DataError, OptionError
from chainrule.estimator_base import BaseMLP, fit_context, partial_fit_available
from chainrule.estimator_data import check_labels
from chainrule.estimator_docs import documented
from chainrule.estimator_file import from_contents, save, to_contents
from chainrule.parameters import Array
from chainrule.refusals import validated


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
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
    class_weight_ : ndarray of shape (n_classes,), or (n_labels, 2) for several labels
        What `class_weight` made each class count.
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
        checkpoint=None,
        checkpoint_every=60.0,
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
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # -------------------------------------------------------------- targets

    def _loss_name(self) -> str:
        if self.loss != "log_loss":
            raise OptionError(f"loss must be 'log_loss' for a classifier, not {self.loss!r}.")
        kind = getattr(getattr(self, "_label_binarizer", None), "y_type_", "binary")
        return "categorical_cross_entropy" if kind == "multiclass" else "binary_cross_entropy"

    def _validate(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        check_labels(y)
        X, y = validated(
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
            self._learn_classes(y)
        else:
            self._check_classes(y)
        return X, y

    def _learn_classes(self, y: Any) -> None:
        self._label_binarizer = _binarizer(y)
        self.classes_ = self._label_binarizer.classes_

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

    def _predicted(self, output: Array) -> Array:
        return self._probabilities(output)

    def _probabilities(self, output: Array) -> Array:
        if self.n_outputs_ > 1:
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        return np.concatenate([1 - output, output], axis=1)

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
        check_labels(classes, "classes")
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


def _binarizer(y: Any) -> Any:
    try:
        return LabelBinarizer().fit(y)
    except ValueError as error:
        if y.ndim == 1:
            raise
        raise DataError(
            f"{error}: y has {y.shape[1]} columns of labels. Give one of them, or a column of zeros and ones "
            "for each label (MultiLabelBinarizer)."
        ) from None
