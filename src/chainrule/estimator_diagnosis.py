"""The part of an estimator that remembers what a diagnosis goes by, and makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from chainrule import evidence, snapshot
from chainrule.diagnose import Diagnosis, diagnose
from chainrule.errors import DataError, OptionError
from chainrule.evidence import Evidence, Notes
from chainrule.parameters import Array
from chainrule.problem import Batch
from chainrule.snapshot import Snapshot
from chainrule.spec import Training

DIVERGED = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed. {detail} The last finite weights were kept. {advice}"
)
ROWS = 2_000  # of those handed over, so many are looked at
CURVES = "loss", "validation_loss"


class DiagnosisMixin:
    """Notes while training, and `diagnose`."""

    if TYPE_CHECKING:  # parameters and attributes are those of the estimators

        def __getattr__(self, name: str) -> Any: ...

    def _note_begin(self, training: Training, theta: Array, data: Batch, *, incremental: bool) -> None:
        """A call of partial_fit may be a small step of many, so layers are not looked at there."""
        if not incremental:
            size = len(data) if training.optimiser_row.full_batch else training.batch_size
            self._notes: Notes = evidence.begin(self._objective(), theta, data, size)
        elif not hasattr(self, "_notes"):
            self._notes = evidence.begin(self._objective(), theta, data, None)
        else:
            self._notes = replace(self._notes, begin=None, end=None, held=None, moved=None)

    def _note_end(self, first: Array, theta: Array, data: Batch, held: Any, *, incremental: bool) -> None:
        if incremental:
            return
        rows = None
        if held is not None:
            X, y, weights = held
            Y = self._encode(np.asarray(y)).astype(X.dtype)
            rows = Batch(X, Y, None if weights is None else np.asarray(weights, X.dtype))
        self._notes = evidence.end(self._notes, self._objective(), (first, theta), data, rows)

    def diagnose(self, X: Any = None, y: Any = None) -> Diagnosis:
        """What this model's training suffers from, in plain words.

        Without data it goes by the history and by what was noted while training, on a sample of the
        training rows. With `X` the layers are looked at on these rows; with `y` too, also the
        gradients and, if the rows were not trained on, overfitting.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            Of many rows, 2000 are looked at.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional

        Returns
        -------
        Diagnosis
            Print it, or look at its findings.

        Raises
        ------
        OptionError
            If `y` is given without `X`.
        DataError
            If `X` and `y` do not fit to each other or to the model.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from chainrule import MLPClassifier
        >>> X, y = load_wine(return_X_y=True)
        >>> MLPClassifier((8,), max_iter=2000, random_state=0).fit(X, y).diagnose().names
        ['unscaled_inputs']
        """
        columns = [str(name) for name in getattr(self, "feature_names_in_", ())]
        labels = [str(label) for label in getattr(self, "classes_", ())]
        return self._diagnose(X, y, columns, labels)

    def _diagnose(self, X: Any, y: Any, columns: Sequence[str], labels: Sequence[str]) -> Diagnosis:
        check_is_fitted(self)
        if X is None and y is not None:
            raise OptionError("diagnose needs X, the rows that the targets y belong to.")
        notes = getattr(self, "_notes", None) or Notes()
        losses, validation, kept = self._curves(whole=notes.end is None)
        known = Evidence(
            notes=notes,
            losses=losses,
            validation=validation,
            stopped=self.stop_reason_ if notes.end or self.stop_reason_ == "diverged" else "going on",
            detail=getattr(self, "_stop_detail", ""),
            kept=kept,
            learning_rate=float(self.learning_rate_init) if self._is_stochastic() else None,
            columns=columns,
            labels=labels,
        )
        return diagnose(known if X is None else replace(known, given=self._look(X, y)))

    def _divergence(self) -> str:
        """What to say of a fit that diverged: where, and why or else what helps."""
        found = {finding.name: finding for finding in self.diagnose()}
        remedy = found.pop("diverged").remedy
        causes = [str(f) for name, f in found.items() if name != "learning_rate_too_high"]
        advice = [*(causes or ["Scale the inputs (StandardScaler)."]), remedy]
        return DIVERGED.format(detail=self._stop_detail, advice=" ".join(advice))

    def _curves(self, *, whole: bool) -> tuple[list[float], list[float], int]:
        """Training and validation loss of each epoch of the last fit, and which epoch was kept."""
        history = self.history_
        count = len(history.get("loss", ())) if whole else self.n_iter_
        if not count:
            return [], [], 0
        losses, validation = (history.get(name, [])[-count:] for name in CURVES)
        scores = (getattr(self, "validation_scores_", None) or [])[-count:]
        best = getattr(self, "best_validation_score_", None)
        return losses, validation, scores.index(best) + 1 if best in scores else 0

    def _look(self, X: Any, y: Any) -> Snapshot:
        """A snapshot on given rows."""
        if y is None:
            rows = self._rows(X)
            batch = Batch(rows, np.zeros((rows.shape[0], self.n_outputs_), rows.dtype))
            objective, theta = self._objective(), self._current()
        else:
            if hasattr(self, "classes_"):
                self._check_classes(np.asarray(y))
            objective, theta, batch = self.problem(X, y)
            if batch.Y.shape != (len(batch), self.n_outputs_):
                raise DataError(
                    f"y must hold {self.n_outputs_} values for each of the {len(batch)} rows of X, but its "
                    f"shape is {np.shape(y)}."
                )
        return snapshot.take(objective, theta, snapshot.sample(batch, ROWS), targets=y is not None)
