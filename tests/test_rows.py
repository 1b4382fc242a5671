"""Rows of the tables: values that their equations leave open, and draws that no moment tells apart."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.equations import INITIALISERS, TABLES

# What a name without values stands for: to change one would change the results of whoever wrote that name.
DEFAULTS = {
    "activation": {
        "leaky_relu": {"alpha": 0.01},
        "elu": {"alpha": 1.0},
        # Klambauer et al. 2017, equation 14, to double precision
        "selu": {"scale": 1.0507009873554805, "alpha": 1.6732632423543772},
    },
    "loss": {"huber": {"delta": 1.0}, "quantile": {"q": 0.5}},
    "optimiser": {
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9},
        "rmsprop": {"rho": 0.9, "epsilon": 1e-8},
        "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
        "adamw": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
        "lbfgs": {"memory": 10},
        "levenberg_marquardt": {"damping": 1e-3, "increase": 10.0, "decrease": 0.1, "max_damping": 1e10},
    },
    "schedule": {
        "inverse_scaling": {"power": 0.5},
        "adaptive": {"divisor": 5.0, "minimum": 1e-6},
        "step": {"every": 30, "gamma": 0.1},
        "cosine": {"floor": 0.0},
        "one_cycle": {"peak_at": 0.3, "start": 0.04, "floor": 4e-6},
        "log_cosine": {"cycles": 4},
        "flat_cosine": {"hold": 0.5},
        "warm_restarts": {"period": 10, "growth": 2, "floor": 0.0},
    },
    "layer kind": {
        "grouped": {"groups": 1, "size": 1, "units": 1},
        "repeat": {"times": 2},
        "embedding": {"columns": 1, "rows": 2, "size": 8},
        "periodic": {"columns": 1, "frequencies": 16},
        "piecewise": {"columns": 1, "bins": 1},
    },
}


def test_default_values():
    found = {
        kind: {name: dict(row.parameters) for name, row in table.items() if getattr(row, "parameters", None)}
        for kind, table in TABLES.items()
    }
    assert {kind: rows for kind, rows in found.items() if rows} == DEFAULTS


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_orthogonal_weights_have_the_signs_that_make_them_uniform(shape):
    """The columns of Q such that R has a positive diagonal: of all signs, only these give a uniform draw."""
    for seed in range(20):
        W = INITIALISERS["orthogonal"].draw(np.random.default_rng(seed), *shape, 1.0)
        drawn = np.random.default_rng(seed).standard_normal((max(shape), min(shape)))
        R = (W if shape[0] >= shape[1] else W.T).T @ drawn
        np.testing.assert_allclose(R, np.triu(R), atol=1e-12)
        assert (np.diag(R) > 0).all()
