"""Many models at once, in threads and in processes; and what is said while the loops are compiled."""

from __future__ import annotations

import threading
import time
import warnings
from types import SimpleNamespace

import numba
import pytest
from joblib import parallel_config
from numba.core import event
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score

from chainrule import MLPClassifier, first_use, kernels, team

pytestmark = pytest.mark.compiled
X, Y = load_iris(return_X_y=True)
BACKENDS = ["threading", "loky"]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def model():
    return MLPClassifier((8,), max_iter=15, random_state=3)


def searched(jobs):
    found = GridSearchCV(model(), {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=jobs).fit(X, Y)
    scores = found.cv_results_["mean_test_score"]
    return scores.tobytes() + found.best_estimator_.theta_.tobytes()


def validated(jobs):
    return cross_val_score(model(), X, Y, cv=4, scoring="neg_log_loss", n_jobs=jobs).tobytes()


def bagged(jobs):
    """The models; their mean is scikit-learn's, which adds up in an order of its own for each n_jobs."""
    found = BaggingClassifier(model(), n_estimators=4, n_jobs=jobs, random_state=0).fit(X, Y)
    return found.predict(X).tobytes() + b"".join(each.theta_.tobytes() for each in found.estimators_)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", [searched, validated, bagged])
def test_two_at_once_give_the_same_bits_as_one_after_the_other(way, backend):
    alone = way(1)
    with parallel_config(backend):
        assert way(2) == alone


def test_compiled_code_lets_other_threads_run():
    assert kernels.OPTIONS["nogil"]


def test_two_fits_at_once_have_one_team_between_them(monkeypatch):
    """The second one works alone: no more threads than processors."""
    monkeypatch.setattr(team, "BUSY", team.Busy())  # threads of other tests may have left a moment ago
    with team.gathered(2) as first, team.gathered(2) as second:
        assert first == min(2, team.allowed()) and second == 1


def test_fits_in_threads_share_the_processors(monkeypatch):
    """While another thread computes, and for a moment after, nobody has a team that needs both processors."""
    monkeypatch.setattr(team, "allowed", lambda: 2)
    monkeypatch.setattr(team, "BUSY", team.Busy())
    monkeypatch.setattr(team, "MOMENT", 0.1)
    inside, done = threading.Event(), threading.Event()

    def other():
        with team.gathered(1):
            inside.set()
            done.wait(10)

    worker = threading.Thread(target=other)
    worker.start()
    inside.wait(10)
    with team.gathered(2) as count:
        assert count == 1
    done.set()
    worker.join()
    with team.gathered(2) as count:
        assert count == 1
    time.sleep(0.15)
    with team.gathered(2) as count:
        assert count == 2


def compiled(qualname, module="chainrule.loops"):
    return SimpleNamespace(data={"module": module, "qualname": qualname})


def test_the_user_is_told_of_compiling_once(capsys, monkeypatch):
    """Of the loops, and of nothing that is quick or another package's."""
    stopped = []
    monkeypatch.setattr(first_use, "stop", lambda: stopped.append(True))
    teller = first_use.Teller()
    for each in (compiled("view"), compiled("layer_forward_12"), compiled("run_steps", "theirs.loops")):
        teller.on_start(each)
    assert capsys.readouterr().err == "" and not stopped
    teller.on_start(compiled("run_steps_0123"))
    assert capsys.readouterr().err == first_use.MESSAGE and stopped


def test_the_compiler_still_tells_what_is_compiled():
    """The message hangs on events of Numba's: their names and facts."""
    seen = []

    class Listener(event.Listener):
        def on_start(self, event):
            seen.append((str(event.data["module"]), str(event.data["qualname"])))

        def on_end(self, event):
            pass

    listener = Listener()
    event.register(first_use.PASS, listener)
    try:
        numba.njit(increased)(1)
    finally:
        event.unregister(first_use.PASS, listener)
    assert (__name__, "increased") in seen


def increased(x):
    return x + 1
