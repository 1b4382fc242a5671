"""How much each row counts: weights that are given for rows, and weights of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, _num_samples

from chainrule.errors import DataError
from chainrule.parameters import Array
from chainrule.refusals import first_where


def checked(sample_weight: Any, X: Any) -> Array:
    """Weights of rows, of X's dtype.

    Raises
    ------
    DataError
        If one is negative or not finite, if all are zero, or if there is not one for each row.
    """
    remedy = "leave such rows out or give them a weight of at least 0."
    try:
        given = np.asarray(sample_weight)
        given = given if given.dtype.kind == "c" else given.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"sample_weight must hold a number for each row ({error}).") from None
    if given.dtype.kind == "c":
        raise DataError("Complex data not supported: sample_weight holds complex numbers. Give real ones.")
    bad = first_where(lambda values: ~np.isfinite(values), given)
    if bad is not None:
        raise DataError(f"sample_weight must be finite, but that of row {bad[0][0]} is {bad[1]:g}: {remedy}")
    negative = first_where(lambda values: values < 0, given)
    if negative is not None:
        raise DataError(
            f"sample_weight must not be negative, but that of row {negative[0][0]} is {negative[1]:g}: "
            + remedy
        )
    if given.size and not given.any():
        raise DataError(
            "Sample weights must contain at least one non-zero number, but every sample_weight is zero: at "
            "least one row must count."
        )
    _check_sum(given, X.dtype)
    try:
        weight: Array = _check_sample_weight(sample_weight, X, dtype=X.dtype)
    except ValueError as error:
        raise DataError(f"{error} There must be one weight for each of the {_num_samples(X)} rows.") from None
    return weight


def _check_sum(weight: Array, dtype: Any) -> None:
    """Refuse weights that are none any more once they are divided by their sum."""
    with np.errstate(all="ignore"):
        cast = weight.astype(dtype)
        most, total = cast.max(initial=0.0), cast.sum()
        lost = not (np.isfinite(total) and np.isfinite(1 / most))
    if weight.size and lost:
        raise DataError(
            f"sample_weight is up to {weight.max():g}, so that its sum or its inverse is not finite in "
            f"{dtype}: only ratios of weights matter, so multiply all by one factor."
        )


def of_classes(class_weight: Any, y: Any, classes: Any) -> tuple[Array, Array]:
    """What a class weight makes of the rows that a model is trained on.

    Parameters
    ----------
    class_weight : dict, list of dict or "balanced"
    y : ndarray of shape (n,), or (n, labels) of zeros and ones
    classes : ndarray
        The classes, sorted; of several labels what the labels are.

    Returns
    -------
    weight : ndarray of shape (n,)
        Of each row; over several labels, the product.
    factors : ndarray of shape (n_classes,), or (labels, 2)
        Of each class. A class that no row has counts 1.
    """
    weight = compute_sample_weight(class_weight, y)
    if y.ndim == 1:
        return weight, _first_of_each(weight, y, classes)
    each = class_weight if isinstance(class_weight, list) else [class_weight] * y.shape[1]
    columns = [
        _first_of_each(compute_sample_weight(w, column), column, np.array([0, 1]))
        for w, column in zip(each, y.T, strict=True)
    ]
    return weight, np.array(columns)


def _first_of_each(weight: Array, y: Any, classes: Any) -> Array:
    return np.array([next(iter(weight[y == c]), 1.0) for c in classes])


def product(weight: Array | None, other: Array) -> Array:
    """Both weights of each row together; None stands for ones."""
    return other if weight is None else weight * other


def by_class(factors: Array, y: Any, classes: Any) -> Array:
    """The weight of rows by the `factors` that `of_classes` found."""
    if factors.ndim == 1:
        found: Array = factors[np.searchsorted(classes, y)]
        return found
    product: Array = np.prod([f[column.astype(int)] for f, column in zip(factors, y.T, strict=True)], axis=0)
    return product
