"""What the docstrings of the two estimators share."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)

COMMON = """    hidden_layer_sizes : int or array-like of int, default=(100,)
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
        Further metrics for `history_`, on the training rows and, with a prefix ``validation_``, on the
        held-out ones.
    callbacks : list of callable, default=()
        Each is called with a `chainrule.train.Epoch` after every epoch; True ends training.
    init : str or list of str, default='auto'
        A name of the initialiser table, for all layers or for each; 'auto' draws as scikit-learn does.
    init_weights : (coefs, intercepts) or None, default=None
        Given initial weights, a list of arrays each.
    engine : {'compiled', 'interpreted'}, default='compiled'
        Which run of the same equations is used.
    checkpoint : path-like or None, default=None
        File to which `fit` saves how far it has come. If it is there when `fit` begins, `fit` goes on from
        it, and ends with the same bits as if it had never stopped. Each fit needs a file of its own.
    checkpoint_every : float, default=60.0
        Seconds from one checkpoint to the next, at least 0.
"""


def documented(cls: Class) -> Class:
    """Put the shared parameters at the head of a class's own."""
    mark = "Parameters\n    ----------\n    "
    cls.__doc__ = (cls.__doc__ or "").replace(mark, mark + COMMON.strip() + "\n    ", 1)
    return cls
