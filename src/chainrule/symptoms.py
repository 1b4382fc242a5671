"""The symptoms that a diagnosis looks for: each is one row with its test, its thresholds and a remedy.

A test returns the figures that its message is made of, or None where there is nothing to report, or not
enough known. The thresholds lie between what sick and healthy synthetic runs showed: docs/diagnosis.md
tells how they were chosen and tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.evidence import Evidence, Scale
from chainrule.snapshot import Layer, Snapshot
from chainrule.symptom import SYMPTOMS, symptom

__all__ = ["SYMPTOMS"]

Figures = dict[str, Any]
SETTLED = 3  # the lowest validation loss of so many last epochs counts as the last one


# ------------------------------------------------------------------ the data


@symptom(
    needs=("inputs",),
    parameters={"largest": 100.0, "least": 0.05},
    source="LeCun, Bottou, Orr & Mueller 1998, Efficient BackProp, section 4.3",
    message="The inputs are not scaled: {what}.",
    remedy="Standardise the columns (StandardScaler) before training and before every prediction.",
)
def unscaled_inputs(e: Evidence, largest: float, least: float) -> Figures | None:
    """A column is so large that it drowns the others and saturates units, or all are so small that
    the network hardly sees them."""
    scale = e.notes.inputs
    assert scale is not None
    name = f"column {e.columns[scale.column]!r}" if e.columns else f"X[:, {scale.column}]"
    if scale.size > largest:
        what = f"{name} has mean {scale.mean:.3g} and standard deviation {scale.deviation:.3g}"
    elif 0 < scale.length < least:
        what = f"the largest, {name}, has mean {scale.mean:.3g} and standard deviation {scale.deviation:.3g}"
    else:
        return None
    return {"what": what, "column": name, **_moments(scale)}


@symptom(
    needs=("targets",),
    parameters={"largest": 100.0, "least": 0.01},
    source="Bishop 1995, Neural Networks for Pattern Recognition, chapter 8",
    message="The targets are not scaled: they have mean {mean:.3g} and standard deviation {deviation:.3g}.",
    remedy="Train on targets of mean 0 and deviation 1 (TransformedTargetRegressor, or TableModel).",
)
def unscaled_targets(e: Evidence, largest: float, least: float) -> Figures | None:
    """Numbers so far from 0, or so close to it, that the first predictions and the tolerance of
    stopping do not fit them."""
    scale = e.notes.targets
    assert scale is not None
    return None if least <= scale.size <= largest or not scale.size else _moments(scale)


def _moments(scale: Scale) -> Figures:
    return {"mean": scale.mean, "deviation": scale.deviation}


@symptom(
    needs=("classes",),
    parameters={"share": 0.1},
    source="He & Garcia 2009, IEEE TKDE 21",
    message=(
        "The classes are unbalanced: {share:.1%} of the rows are of class {label}, and always predicting "
        "class {frequent} would be right for {right:.1%} of them."
    ),
    remedy=(
        "Judge by balanced accuracy, ROC AUC or log loss, not by accuracy; class_weight='balanced' makes "
        "the rare class count."
    ),
)
def imbalance(e: Evidence, share: float) -> Figures | None:
    """A class has less than a tenth of the rows that it would have among equal classes."""
    totals = np.array(e.notes.classes)
    if not totals.sum() > 0 or min(len(totals), len(e.labels) or 2) < 2:  # of one class, there is no other
        return None
    shares = totals / totals.sum()
    rare, frequent = int(shares.argmin()), int(shares.argmax())
    if shares[rare] * len(shares) >= share:
        return None
    return {
        "share": float(shares[rare]),
        "label": _label(e, rare),
        "frequent": _label(e, frequent),
        "right": float(shares[frequent]),
    }


def _label(e: Evidence, index: int) -> str:
    return str(e.labels[index]) if e.labels else str(index)


# ------------------------------------------------------------------ the loss


@symptom(
    needs=("stopped",),
    parameters={"factor": 1e3},
    source="Bottou, Curtis & Nocedal 2018, SIAM Review 60, section 4",
    message="Training diverged. {what}",
    remedy="Lower the learning rate (learning_rate_init), at first to a tenth.",
)
def diverged(e: Evidence, factor: float) -> Figures | None:
    """The loss grew without bound."""
    if e.stopped == "diverged":
        return {"what": e.detail or "The loss is not a finite number."}
    first = e.first_loss
    if first is None or not e.losses or e.losses[-1] <= factor * first:
        return None
    what = f"The training loss grew from {first:.3g} to {e.losses[-1]:.3g}."
    return {"what": what, "first": first, "last": e.losses[-1]}


@symptom(
    needs=("losses", "learning_rate"),
    parameters={"peak": 5.0, "jump": 0.1},
    source="Bottou, Curtis & Nocedal 2018, SIAM Review 60, section 4",
    message="The learning rate {rate:g} is too high: {what}.",
    remedy="Lower it (learning_rate_init), at first to a third, or let a schedule such as 'cosine' do so.",
    explained_by=("unscaled_inputs", "unscaled_targets", "exploding_gradients"),
)
def learning_rate_too_high(e: Evidence, peak: float, jump: float) -> Figures | None:
    """Steps leap over the minimum: the loss rises far above its first value, or still jumps up and
    down in the second half of training."""
    losses, first = np.array(e.losses), e.first_loss
    if first is None or not len(losses):
        return None
    top, rises = float(losses.max()), _rises(losses)
    if top > peak * first:
        what = f"the loss rose from {first:.3g} at the start to {top:.3g}"
    elif rises > jump * e.baseline:
        what = f"in the second half of training the loss jumped up by {rises:.3g} (root mean square)"
    else:
        return None
    return {"what": what, "rate": e.learning_rate, "first": first, "highest": top, "rises": rises}


def _rises(losses: Any) -> float:
    """Root mean square of the rises from epoch to epoch in the second half."""
    steps = np.diff(losses[len(losses) // 2 :])
    if len(steps) < 2:
        return 0.0
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.square(np.maximum(steps, 0.0)).mean()))


@symptom(
    needs=("losses", "learning_rate", "moved"),
    parameters={"moved": 0.01, "descent": 0.1, "rising": 0.25},
    source="Bengio 2012, arXiv:1206.5533, section 3.1",
    message=(
        "The learning rate {rate:g} is too low: {epochs} epochs moved the parameters by {moved:.2g} of "
        "their length, and the loss went from {first:.4g} to {last:.4g}, still falling steadily."
    ),
    remedy="Raise it (learning_rate_init) tenfold, again and again, until the loss falls in earnest.",
    explained_by=("dead_units", "saturated_units", "vanishing_gradients", "exploding_gradients"),
)
def learning_rate_too_low(e: Evidence, moved: float, descent: float, rising: float) -> Figures | None:
    """Steps so small that after all epochs the network is nearly the one that it began as."""
    losses, first = np.array(e.losses), e.first_loss
    if first is None or len(losses) < 5 or e.notes.moved is None:
        return None
    way = e.notes.moved * len(losses) / (e.kept or len(losses))
    rises = float((np.diff(losses) > 0).mean())
    if way > moved or losses[-1] < (1 - descent) * losses[0] or rises > rising:
        return None
    return {
        "rate": e.learning_rate,
        "epochs": len(losses),
        "moved": way,
        "first": float(losses[0]),
        "last": float(losses[-1]),
    }


@symptom(
    needs=("losses", "learning_rate"),
    severity="note",
    parameters={"descent": 0.01},
    source="Prechelt 1998, Early Stopping - But When?",
    message=(
        "Training ended with the last of its {epochs} epochs while the loss was still falling, by "
        "{fall:.3g} in the last tenth of them."
    ),
    remedy="Allow more epochs (max_iter), or raise the learning rate.",
    explained_by=("learning_rate_too_low", "unscaled_targets"),
)
def unfinished(e: Evidence, descent: float) -> Figures | None:
    """The epochs ran out before the loss levelled off."""
    tenth = len(e.losses) // 10
    if e.stopped != "epochs" or not tenth:
        return None
    fall = e.losses[-1 - tenth] - e.losses[-1]
    return {"epochs": len(e.losses), "fall": fall} if fall > descent * e.baseline else None


# ------------------------------------------------------------------ the layers


@symptom(
    needs=("layers",),
    parameters={"share": 0.75, "fit": 0.5},
    source="Lu, Shin, Su & Karniadakis 2020, Commun. Comput. Phys. 28 (dying ReLU)",
    message=(
        "In {layer}, {dead} of {units} units ({activation}) are flat for each of the {rows} rows looked "
        "at: no gradient passes through them, so they do not learn."
    ),
    remedy="Lower the learning rate, use 'leaky_relu' or 'elu', or init='he_normal' (biases begin at 0).",
)
def dead_units(e: Evidence, share: float, fit: float) -> Figures | None:
    """Units whose activation has slope 0 on all rows, such as rectifiers that never fire. Where they
    came about in a training that roughly halved the loss, they did no harm."""
    found = _flat_layer(e, lambda layer: layer.dead / layer.units, share, fit)
    return None if found is None else {**found[1], "dead": found[0].dead}


@symptom(
    needs=("layers",),
    parameters={"share": 0.8, "fit": 0.5},
    source="Glorot & Bengio 2010, AISTATS, section 3",
    message=(
        "In {layer}, {saturated:.0%} of the values of its {units} units ({activation}) lie at the flat "
        "ends of the activation, where hardly any gradient passes."
    ),
    remedy="Standardise the inputs, begin with smaller weights (init='glorot_uniform'), or use 'relu'.",
)
def saturated_units(e: Evidence, share: float, fit: float) -> Figures | None:
    """Most values of a bounded activation are at its bounds, where its slope is under a twentieth of the
    steepest. Where that came about in a training that roughly halved the loss, it did no harm."""
    found = _flat_layer(e, lambda layer: layer.saturated, share, fit)
    return None if found is None else {**found[1], "saturated": found[0].saturated}


def _flat_layer(
    e: Evidence, part: Callable[[Layer], float], share: float, fit: float
) -> tuple[Layer, Figures] | None:
    """The hidden layer of which the largest part is flat, if that is at least `share` and does harm."""
    hidden = _hidden(e.last)
    if not hidden or e.last is None:
        return None
    number = int(np.argmax([part(layer) for layer in hidden]))
    layer, known = hidden[number], e.last.fit
    if part(layer) < share:
        return None
    from_the_start = any(part(other) >= share for other in _hidden(e.notes.begin))
    learnt = known is not None and known.baseline is not None and known.loss < fit * known.baseline
    if learnt and not from_the_start:
        return None
    return layer, {
        "layer": f"hidden layer {number + 1}",
        "units": layer.units,
        "activation": layer.activation,
        "rows": e.last.rows,
    }


def _hidden(taken: Snapshot | None) -> tuple[Layer, ...]:
    """The hidden layers."""
    return taken.layers[:-1] if taken is not None else ()


@symptom(
    needs=("gradients",),
    parameters={"ratio": 1e-3},
    source="Hochreiter 1991, diploma thesis; Bengio, Simard & Frasconi 1994, IEEE TNN 5",
    message=(
        "Gradients vanish: from the output layer down to the first hidden layer, their length shrinks to "
        "{ratio:.2g} of what it was, so the first layers hardly learn."
    ),
    remedy=(
        "Use fewer layers, 'relu' or 'tanh' in place of 'sigmoid', and begin with larger weights "
        "(init='he_normal' or 'glorot_uniform')."
    ),
)
def vanishing_gradients(e: Evidence, ratio: float) -> Figures | None:
    """Back propagation shrinks the gradient from layer to layer."""
    found = _shrinkage(e.last)
    return {"ratio": found} if found is not None and 0 < found < ratio else None


@symptom(
    needs=("gradients",),
    parameters={"before": 100.0, "after": 1000.0},
    source="Pascanu, Mikolov & Bengio 2013, ICML",
    message=(
        "Gradients explode: {when} training, their length grows {ratio:.2g}-fold from the output layer "
        "down to the first hidden layer."
    ),
    remedy="Begin with smaller weights (init='he_normal' or 'glorot_uniform'), or use fewer layers.",
)
def exploding_gradients(e: Evidence, before: float, after: float) -> Figures | None:
    """Back propagation magnifies the gradient from layer to layer."""
    if e.notes.begin is not None and e.given is None:
        when, found, limit = "before", _shrinkage(e.notes.begin), before
    else:
        when, found, limit = "after", _shrinkage(e.last), after
    return {"when": when, "ratio": found} if found is not None and found > limit else None


def _shrinkage(taken: Snapshot | None) -> float | None:
    """Length of dZ in the first layer relative to that in the last; None if not known."""
    if taken is None or len(taken.layers) < 2:
        return None
    first, last = taken.layers[0].gradient, taken.layers[-1].gradient
    if not first or not last or not math.isfinite(first / last):
        return None
    return first / last


# ------------------------------------------------------------------ rows that were not trained on


@symptom(
    needs=("unseen",),
    parameters={"rise": 0.1, "rise_errors": 5.0, "gap": 0.3, "gap_errors": 4.0},
    source="Prechelt 1998, Early Stopping - But When?; Bishop 2006, PRML, section 1.1",
    message="The network overfits: {what}.",
    remedy="Give it more rows, fewer units, a larger alpha or dropout, and stop early (early_stopping=True).",
)
def overfitting(
    e: Evidence, rise: float, rise_errors: float, gap: float, gap_errors: float
) -> Figures | None:
    """The loss of rows that were not trained on rises while training goes on, or is far above that of
    the training rows. Both are measured against the loss of always predicting the mean, and against
    the standard error."""
    return _rise(e, rise, rise_errors) or _gap(e, gap, gap_errors)


def _rise(e: Evidence, share: float, errors: float) -> Figures | None:
    """Whether the validation loss stays above its lowest value."""
    losses, held = np.array(e.validation), e.notes.held
    if held is None or not np.isfinite(losses).any():
        return None
    best = int(np.nanargmin(losses))
    late = float(losses[best:][-SETTLED:].min())  # a single leap is no trend
    if not late - losses[best] > max(share * e.baseline, errors * held.error):
        return None
    what = f"after epoch {best + 1} the validation loss rose from {losses[best]:.3g} to {late:.3g}"
    return {"what": what, "epoch": best + 1, "best": float(losses[best]), "last": late}


def _gap(e: Evidence, share: float, errors: float) -> Figures | None:
    """Whether the loss of other rows is far above that of the training rows."""
    seen, unseen = e.notes.end.fit if e.notes.end else None, e.unseen
    if seen is None or unseen is None:
        return None
    wide = unseen.loss - seen.loss
    if not wide > max(share * e.baseline, errors * math.hypot(seen.error, unseen.error)):
        return None
    what = f"its loss is {seen.loss:.3g} on training rows, but {unseen.loss:.3g} on {unseen.rows} others"
    return {"what": what, "training": seen.loss, "others": unseen.loss, "rows": unseen.rows}
