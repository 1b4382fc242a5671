"""The part of an estimator that takes the data: weights, rows to validate by, labels, targets."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split

from chainrule import row_weights
from chainrule.errors import DataError, DataTypeError, OptionError
from chainrule.parameters import Array
from chainrule.problem import Batch
from chainrule.refusals import CHUNK, Given, explained, first_where, refuse_disguised, validated


class DataMixin:
    """Everything but the rows themselves, which `validated` checks."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators
        _split: Any

        def __getattr__(self, name: str) -> Any: ...

    def _targets(self, y: Any, dtype: Any) -> Array:
        """The targets as the loss wants them, in the network's own type."""
        cast: Array = np.empty((0, 0), dtype)
        try:
            with np.errstate(over="ignore"):
                for first in range(0, len(y), CHUNK):  # labels as numbers take more room than the targets
                    part = self._encode(y[first : first + CHUNK])
                    if not first:
                        cast = np.empty((len(y), part.shape[1]), dtype)
                    cast[first : first + CHUNK] = part
        except ValueError as error:
            raise explained(error, Given(None, y, "X", "y", dtype, self)) from None
        bad = first_where(lambda values: ~np.isfinite(values), cast)
        if bad is not None:
            (row, column), _, _ = bad
            value = self._encode(y[row : row + 1])[0, column]
            raise DataError(
                f"y in row {row} is {value:g}, too large for {dtype}: scale y "
                "(TransformedTargetRegressor, or TableModel), or give X as float64."
            )
        return cast

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> Array | None:
        weight = None if sample_weight is None else row_weights.checked(sample_weight, X)
        self.__dict__.pop("class_weight_", None)  # of an earlier fit
        if getattr(self, "class_weight", None) is None:
            return weight
        check_class_weight(self.class_weight, self.classes_)
        by_class, self.class_weight_ = row_weights.of_classes(self.class_weight, y, self.classes_)
        weight = row_weights.product(weight, by_class.astype(X.dtype))
        if not weight.any():
            raise DataError("Every row has a class_weight of zero: at least one class must count.")
        return weight

    def _hold_out(self, batch: Batch, y: Any, validation: Any) -> tuple[Batch, Any]:
        """The training rows, and the validation data (X, y, weights) if stopping goes by some."""
        if validation is not None:
            return batch, self._given_rows(batch, validation)
        if not self.early_stopping:
            return batch, None
        rows = self._validation_rows(batch, y)
        kept, held = batch.part(rows[0]), batch.part(rows[1])
        if len(held) < 2:
            raise DataError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return kept, (held.X, np.asarray(y)[rows[1]], held.weights)

    def _given_rows(self, batch: Batch, validation: Any) -> tuple[Any, Any, Any]:
        """Validation data that the user handed over, checked as the training rows are."""
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
            raise OptionError("validation_data must be (X, y) or (X, y, sample_weight).")
        X, y, *weight = validation
        X = validated(
            self,
            X,
            names=("validation_data's X", "validation_data's y"),
            accept_sparse=["csr", "csc"],
            dtype=batch.X.dtype,
            reset=False,
        )
        refuse_disguised(y, "validation_data's y")
        y = np.asarray(y)
        if len(y) != X.shape[0]:
            raise DataError(
                f"validation_data has {X.shape[0]} rows in X, but {len(y)} targets in y: give one for each."
            )
        if hasattr(self, "classes_"):
            check_labels(y, "validation_data's y")
            self._check_classes(y)
        elif (bad := first_where(lambda v: ~np.isfinite(v), np.asarray(y, dtype=np.float64))) is not None:
            raise DataError(
                f"validation_data's y is {bad[1]} in row {bad[0][0]}: leave out such rows or correct them."
            )
        return to_rows(X), y, row_weights.checked(weight[0], X) if weight and weight[0] is not None else None

    def _validation_rows(self, batch: Batch, y: Any) -> Any:
        """Rows to train on and to validate on. A warm start keeps them: no validation row leaks."""
        if self._split is None or sum(len(part) for part in self._split) != len(batch):
            stratify = batch.Y if self._stratified() else None
            try:
                self._split = train_test_split(
                    np.arange(len(batch)),
                    random_state=self._random_state,
                    test_size=self.validation_fraction,
                    stratify=stratify,
                )
            except ValueError as error:
                raise DataError(self._why_no_split(np.asarray(y), str(error))) from None
        return self._split

    def _why_no_split(self, y: Any, reason: str) -> str:
        if self._stratified():
            labels, first, counts = np.unique(y, return_index=True, return_counts=True)
            lone = int(counts.argmin())
            if counts[lone] == 1:
                return (
                    f"The class {labels[lone].item()!r} has a single row, row {first[lone]}, which cannot be "
                    "trained on and validated on: add rows of this class, leave it out, or hand over "
                    "validation_data in place of early_stopping=True."
                )
        return (
            f"early_stopping=True sets {self.validation_fraction:.0%} of the rows apart, which a table of "
            f"{len(y)} rows is too small for ({reason.rstrip('.')}): give more rows, another "
            "validation_fraction, or validation_data."
        )


def to_rows(X: Any) -> Any:
    """Data as the runs take them: a C-contiguous array or a CSR matrix."""
    return X.tocsr() if sparse.issparse(X) else np.ascontiguousarray(X)


def check_class_weight(class_weight: Any, classes: Any) -> None:
    """Refuse weights of classes that are none."""
    if isinstance(class_weight, str) and class_weight != "balanced":
        raise OptionError(f"class_weight must be 'balanced', None or a dict, not {class_weight!r}.")
    if not isinstance(class_weight, dict):
        return
    known = np.asarray(classes).tolist()
    for label, value in class_weight.items():
        if label not in known:
            raise OptionError(
                f"class_weight has a weight for {label!r}, but the classes, {known}, are not in class_weight "
                "under this name: correct it or leave it out."
            )
        if not (isinstance(value, numbers.Real) and 0 <= float(value) < np.inf):
            raise OptionError(
                f"class_weight[{label!r}] must be a finite number of at least 0, not {value!r}."
            )


def check_labels(y: Any, name: str = "y") -> None:
    """Refuse labels that cannot be told apart or sorted: None, bytes, several types at once, fractions.

    Parameters
    ----------
    y : array-like
    name : str
        What the user calls them.

    Raises
    ------
    DataTypeError
        If labels are bytes, of several types, or of a type that is no label.
    DataError
        If a label is missing, or if the labels are continuous numbers.
    """
    if sparse.issparse(y) or y is None:
        return  # scikit-learn says what to do
    array = np.asarray(y) if hasattr(y, "dtype") else np.asarray(y, dtype=object)
    if array.dtype.kind == "S":
        _refuse_bytes(name, array.ravel()[0] if array.size else b"")
    if array.dtype.kind in "mMV":
        raise DataTypeError(f"Unknown label type: {name} holds values of the type {array.dtype}. {LABEL}")
    if array.dtype.kind == "O":
        _check_objects(array, name, as_objects=str(getattr(y, "dtype", "")) == "object")
    elif array.dtype.kind == "f":
        fraction = first_where(lambda values: np.isfinite(values) & (values != np.trunc(values)), array)
        if fraction is not None:
            raise DataError(
                f"Unknown label type: continuous. {name}[{fraction[0][0]}] is {fraction[1]:g}, a number and "
                "no class: use MLPRegressor, or make classes of the numbers."
            )


LABEL = "Labels must be texts, whole numbers or truth values."
LABELS: dict[str, tuple[type, ...]] = {
    "truth values": (bool, np.bool_),
    "numbers": (numbers.Real,),
    "texts": (str,),
}


def _check_objects(array: Any, name: str, *, as_objects: bool) -> None:
    """`as_objects` tells whether they were handed over in an array of objects, and not in a list."""
    found: dict[str, tuple[str, Any]] = {}
    for place, value in np.ndenumerate(array):
        where = f"{name}[{', '.join(map(str, place))}]" if place else name
        if value is None or value != value:  # NaN is missing, too
            raise DataError(
                f"Input y contains NaN: {where} is {value}, so there is no label. Leave out such rows."
            )
        if isinstance(value, bytes):
            _refuse_bytes(where, value)
        if isinstance(value, (list, tuple, np.ndarray)):
            return  # several labels to a row, of different number: scikit-learn says what to do
        kind = next((kind for kind, types in LABELS.items() if isinstance(value, types)), None)
        if kind is None:
            raise DataTypeError(f"Unknown label type: {where} is a {type(value).__name__}. {LABEL}")
        if isinstance(value, str) and value.endswith("\0"):
            raise DataError(f"{where} is {value!r}: NumPy would cut off the character NUL at its end.")
        found.setdefault(kind, (where, value))
    if len(found) > 1:
        (a, first), (b, second) = list(found.items())[:2]
        raise DataTypeError(
            f"{name} mixes {a} and {b}: {first[0]} is {first[1]!r}, but {second[0]} is {second[1]!r}. Make "
            "all labels of one type, such as texts with y.astype(str)."
        )
    if "texts" not in found and (as_objects or np.asarray(array.tolist()).dtype.kind == "O"):
        raise DataTypeError(
            f"Unknown label type: {name} is an array of objects that holds {', '.join(found)}. Give it a "
            "type of its own, such as y.astype(int), or make texts of huge numbers, y.astype(str)."
        )


def _refuse_bytes(where: str, value: Any) -> None:
    raise DataTypeError(
        "Support for labels represented as bytes is not supported. Convert the labels to a string or integer "
        f"format: {where} is {bytes(value)!r}."
    )
