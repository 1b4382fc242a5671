"""Tables, descriptions, initialisers, second-order methods and the training loop."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
from conftest import make_network, make_problem

import chainrule
import chainrule.equations.activations
import chainrule.reference
from chainrule import second_order, train
from chainrule.equations import ACTIVATIONS, INITIALISERS, LOSSES, OPTIMISERS, SCHEDULES, TABLES, dropout
from chainrule.errors import OptionError
from chainrule.parameters import Layout, initial
from chainrule.problem import Batch, Objective
from chainrule.spec import Layer, Network, Training


class TestTables:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("rellu", "Did you mean 'relu'"),
            ("leaky_relu(beta=1)", "no parameter 'beta'"),
            ("elu(alpha=-1)", "must lie in"),
            ("elu(1)", "Cannot read the activation"),
            ("elu(alpha='x')", "Cannot read the activation"),
            ("elu(", "Cannot read the activation"),
            (3, "Cannot read the activation"),
        ],
    )
    def test_a_wrong_text_gets_a_sentence(self, text, message):
        with pytest.raises(OptionError, match=message):
            ACTIVATIONS.find(text)

    def test_rows_are_spelled_as_they_are_read(self):
        for text in ("leaky_relu(alpha=0.2)", "relu", "elu(alpha=0.5)"):
            assert ACTIVATIONS.spell(ACTIVATIONS.find(text)) == text
        assert ACTIVATIONS.find("logistic").name == "sigmoid"
        assert len(ACTIVATIONS) == len(list(ACTIVATIONS))

    def test_names_of_others_cannot_be_taken(self):
        for name, message in (("relu", "built-in"), ("logistic", "built-in"), ("a b", "identifier")):
            with pytest.raises(OptionError, match=message):
                chainrule.register_activation(name, np.tanh, np.tanh)
        with pytest.raises(OptionError, match="must be a function"):
            chainrule.register_activation("mine", np.tanh, 3)
        with pytest.raises(OptionError, match="another name of"):
            ACTIVATIONS.add(chainrule.equations.activations.Activation("swish"))

    def test_aliases_go_with_their_row(self):
        row = ACTIVATIONS.add(chainrule.equations.activations.Activation("mine", aliases=("my",)))
        assert ACTIVATIONS["my"] is row
        ACTIVATIONS.remove("mine")
        assert "my" not in ACTIVATIONS.names()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layer(0), "units must be a whole number"),
        (lambda: Layer(3, dropout=1.0), "dropout must be a number"),
        (lambda: Network(2, []), "at least one layer"),
        (lambda: Network(2, [Layer(1)], dtype="float16"), "dtype"),
        (lambda: Network(2, [Layer(1, dropout=0.5)]), "cannot have dropout"),
        (lambda: Network(2, [Layer(1)], "huber(delta=-1)"), "must lie in"),
        (lambda: Training(learning_rate=0.0), "learning_rate"),
        (lambda: Training(epochs=0), "epochs"),
        (lambda: Training(penalties={"l2": -1.0}), "strength"),
        (lambda: Objective(Network(2, [Layer(1)]), {"l3": 1.0}), "no penalty 'l3'"),
    ],
)
def test_a_wrong_description_gets_a_sentence(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_a_summary_tells_shapes_and_parameters():
    layers = [Layer(16, "leaky_relu(alpha=0.2)", 0.1), Layer(1000, "tanh"), Layer(3)]
    network = Network(4, layers, "categorical_cross_entropy")
    assert network.parameters == (80, 17_000, 3_003)
    assert sum(network.parameters) == Layout(network).size
    assert network.summary().splitlines() == [
        "Layer     Kind                Shape      Activation             Parameters",
        "hidden 1  dense, dropout 0.1  4 → 16     leaky_relu(alpha=0.2)  80",
        "hidden 2  dense               16 → 1000  tanh                   17,000",
        "output    dense               1000 → 3   identity               3,003",
        "20,083 parameters (float64), loss categorical_cross_entropy, output through softmax",
    ]


def test_a_network_is_html_with_everything_escaped():
    chainrule.register_activation("odd", lambda z: z, lambda z, a: 1 + 0 * z, latex="z < <b>0</b>")
    try:
        html = Network(4, [Layer(2, "odd"), Layer(1)])._repr_html_()
    finally:
        ACTIVATIONS.remove("odd")
    assert "$z &lt; &lt;b&gt;0&lt;/b&gt;$" in html and "<b>0" not in html
    assert html.count("<tr>") == 3
    assert "13 parameters (float64), loss squared_error" in html
    assert "http" not in html


def test_descriptions_survive_json():
    network = Network(3, [Layer(4, "elu(alpha=0.5)", 0.2), Layer(2)], "huber(delta=2)", "float32")
    assert Network.from_dict(network.as_dict()) == network
    assert Training(penalties={"l2": 0.1}).as_dict()["penalties"] == {"l2": 0.1}


VARIANCE = {
    "glorot_uniform": 2 / 500,
    "glorot_normal": 2 / 500,
    "he_uniform": 2 / 300,
    "he_normal": 2 / 300,
    "lecun_uniform": 1 / 300,
    "lecun_normal": 1 / 300,
    "scikit_learn": 2 / 500,
    "zeros": 0.0,
    "orthogonal": 1 / 300,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_defaults_of_a_row_lie_in_its_ranges(table):
    for row in table.values():
        assert row.ranges.keys() <= row.parameters.keys()
        for name, value in row.parameters.items():
            low, high = row.ranges.get(name, (-math.inf, math.inf))
            assert low <= value <= high, (row.name, name)
            assert table.find(f"{row.name}({name}={value!r})").parameters == row.parameters


# What a parameter is, by its name, and so where it may lie: the ends belong to it, what is beyond does not.
SHARES = ["q", "momentum", "rho", "beta_1", "beta_2", "decrease", "gamma", "floor", "peak_at", "start"]
NOT_NEGATIVE = ["scale", "epsilon", "weight_decay", "max_damping", "power", "minimum"]
AT_LEAST_ONE = ["increase", "divisor", "every", "period", "growth", "memory"]
ENDS = {
    **dict.fromkeys(SHARES, ([0, 1], [-0.01, 1.01])),
    **dict.fromkeys(NOT_NEGATIVE, ([0, 1e300], [-0.01])),
    **dict.fromkeys(AT_LEAST_ONE, ([1, 1000], [0.99])),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_ends_of_a_range_are_allowed(table):
    for row in table.values():
        for name in row.ranges.keys() & ENDS.keys() | row.ranges.keys() & {"alpha"}:
            allowed, refused = ENDS.get(name, ([0, 1e300], [] if row.name == "leaky_relu" else [-0.01]))
            for value in allowed:
                assert table.find(f"{row.name}({name}={value})").parameters[name] == value
            for value in refused:
                with pytest.raises(OptionError, match=f"{name}={value} of the {table.kind} '{row.name}'"):
                    table.find(f"{row.name}({name}={value})")


def test_an_optimiser_has_no_more_slots_than_there_are_templates():
    assert len(OPTIMISERS["adam"].slots) == 2
    with pytest.raises(ValueError, match="'adam' has more than 2 slots"):
        replace(OPTIMISERS["adam"], slots=("m", "v", "u"))


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.kinks])
def test_an_activation_has_a_kink_where_it_is_said(name):
    """The slopes on both sides differ, for values of the parameters that do not happen to smooth it."""
    row, parameters = ACTIVATIONS[name], [0.3 for _ in ACTIVATIONS[name].parameters]
    for kink in row.kinks:
        left, right = (row.f(np.float64(kink + h), *parameters) for h in (-1e-6, 1e-6))
        middle = row.f(np.float64(kink), *parameters)
        assert abs((right - middle) - (middle - left)) > 1e-7


SPLITMIX64 = (  # its first numbers after the seed 1234567, as its authors' C program prints them
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)


def test_coins_are_those_of_splitmix64():
    index = np.arange(len(SPLITMIX64), dtype=np.uint64)
    with np.errstate(over="ignore"):
        found = dropout.uniform(np.uint64(1234567), index)
        key = dropout.stream_key(np.uint64(3), np.uint64(5), np.uint64(7))
    assert found.tolist() == [(number >> 11) / 2**53 for number in SPLITMIX64]
    assert int(key) == mixed(mixed(mixed(3 + GOLDEN) ^ 5) + 7 * GOLDEN)
    assert dropout.kept(np.uint64(1234567), index, found[1]).tolist() == [True, True, True, True, True]
    assert not dropout.kept(np.uint64(1234567), index, np.nextafter(found[1], 1))[1]


GOLDEN = 0x9E3779B97F4A7C15


def mixed(x: int) -> int:
    """The finaliser, in Python's integers."""
    x %= 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_lie_in_their_image_and_reach_its_finite_ends(name):
    row = ACTIVATIONS[name]
    z = np.linspace(-600, 600, 2401)
    low, high = row.image
    A = chainrule.reference.activate(row, np.column_stack([z, -z]))
    assert low <= A.min() and A.max() <= high
    assert not math.isfinite(low) or A.min() < low + 0.01
    assert not math.isfinite(high) or A.max() > high - 0.01


@pytest.mark.parametrize("name", INITIALISERS)
def test_initialisers_have_their_variance(name, rng):
    W = INITIALISERS[name].draw(rng, 300, 200, 1.0)
    assert W.shape == (300, 200)
    assert np.var(W) == pytest.approx(VARIANCE[name], rel=0.03)


def test_orthogonal_weights_are_orthonormal(rng):
    for shape in ((7, 4), (4, 7)):
        W = INITIALISERS["orthogonal"].draw(rng, *shape, 2.0)
        small = W.T @ W if shape[0] > shape[1] else W @ W.T
        np.testing.assert_allclose(small, 4 * np.eye(4), atol=1e-13)


def test_given_parameters_are_checked(rng):
    layout = Layout(make_network("squared_error"))
    with pytest.raises(OptionError, match="2 arrays are needed"):
        layout.pack([np.zeros((4, 5))], [np.zeros(5)])
    with pytest.raises(OptionError, match="W of layer 2 must have shape"):
        layout.pack([np.zeros((4, 5)), np.zeros((4, 5))], [np.zeros(5), np.zeros(2)])
    with pytest.raises(OptionError, match="There are 2 layers"):
        initial(layout.network, rng, ["he_normal"])


def test_schedules_at_their_corners():
    def factor(text, t, epoch=0.0, samples=0):
        row = SCHEDULES.find(text)
        return float(np.asarray(row.factor(t, epoch, samples, *row.parameters.values())))

    assert factor("cosine(floor=0.1)", 0.0) == 1.0
    assert factor("cosine(floor=0.1)", 1.0) == pytest.approx(0.1)
    assert factor("one_cycle", 0.0) == pytest.approx(0.04)
    assert factor("one_cycle", 0.3) == pytest.approx(1.0)
    assert factor("one_cycle", 1.0) == pytest.approx(4e-6)
    assert factor("step(every=2, gamma=0.5)", 0.0, epoch=4.5) == 0.25
    assert factor("inverse_scaling", 0.0, samples=99) == pytest.approx(0.1)
    assert factor("warm_restarts(period=10, growth=2)", 0.0, epoch=29.999) < 1e-6
    assert factor("warm_restarts(period=10, growth=2)", 0.0, epoch=30.0) == 1.0
    assert factor("warm_restarts(period=10, growth=1)", 0.0, epoch=15.0) == pytest.approx(0.5)


class TestSecondOrder:
    @pytest.mark.parametrize("size", [2, 10])
    def test_lbfgs_goes_the_way_of_lbfgs_b(self, size):
        """The same method without bounds: the same iterations, evaluations and minimum."""
        start = np.full(size, -1.2)

        def f(x):
            return scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)

        theirs = scipy.optimize.minimize(f, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
        ours = list(second_order.lbfgs(f, start, tol=1e-8))
        assert (len(ours), ours[-1].evaluations) == (theirs.nit, theirs.nfev)
        np.testing.assert_allclose(ours[-1].theta, theirs.x, atol=1e-6)

    def test_lbfgs_ends_at_a_minimum_and_where_it_is_stuck(self):
        assert next(second_order.lbfgs(lambda x: (x @ x, 2 * x), np.zeros(3))).status == "gradient"
        wrong = second_order.lbfgs(lambda x: (float(x @ x), -2 * x), np.ones(3))
        assert list(wrong)[-1].status == "stuck"

    def test_lbfgs_on_a_hard_line(self, rng):
        def f(x):
            return float(np.sum(np.sqrt(1e-6 + x * x) + 0.1 * np.sin(9 * x))), x / np.sqrt(
                1e-6 + x * x
            ) + 0.9 * np.cos(9 * x)

        values = [iterate.value for iterate in second_order.lbfgs(f, rng.normal(size=6), tol=1e-9)]
        assert all(b <= a for a, b in itertools.pairwise(values))

    def test_a_matrix_that_is_not_positive_definite_gives_no_step(self):
        assert second_order.damped_step(-np.eye(2), np.ones(2), 0.1) is None

    def test_levenberg_marquardt_ends(self):
        def equations(x):
            return float(x @ x) / 2, x, np.eye(2)

        def value(x):
            return float(x @ x) / 2

        assert next(second_order.levenberg_marquardt(value, equations, np.zeros(2))).status == "gradient"
        assert (
            list(second_order.levenberg_marquardt(lambda x: np.inf, equations, np.ones(2)))[-1].status
            == "damping"
        )


def run_training(training, *, loss="squared_error", rows=60, engine="interpreted", **options):
    """Train a small network; returns its state and outcome."""
    objective = Objective(make_network(loss, "tanh"), options.pop("strengths", {}))
    theta, batch = make_problem(objective.network, rows=rows)
    state = train.State.begin(theta, training)
    run = train.make_run(objective, training, engine)
    return state, train.fit(objective, training, batch, state, run=run, **options)


class TestTraining:
    def test_it_stops_without_improvement_and_says_so(self):
        said = []
        state, outcome = run_training(Training(tol=10.0, patience=3), announce=said.append)
        assert (outcome.reason, outcome.epochs) == ("converged", 5)
        assert said == [
            "Training loss did not improve more than tol=10.000000 for 3 consecutive epochs. Stopping."
        ]
        assert len(state.history["loss"]) == 5

    def test_a_plateau_lowers_the_rate_until_it_is_small(self):
        said = []
        training = Training(
            learning_rate=1e-3, schedule="adaptive(minimum=1e-4)", tol=10.0, patience=1, epochs=90
        )
        state, outcome = run_training(training, announce=said.append)
        assert outcome.reason == "converged"
        assert state.plateau == pytest.approx(1 / 25)
        assert said[-1].endswith("Learning rate too small. Stopping.")

    def test_the_best_parameters_of_a_monitor_come_back(self):
        values = iter([3.0, 1.0, np.nan, 2.0, 5.0])
        kept = []
        monitor = train.Monitor("score", lambda predict: next(values), higher_is_better=False)
        state, outcome = run_training(
            Training(epochs=5, patience=None),
            monitor=monitor,
            callbacks=[lambda epoch: kept.append(epoch.theta.copy())],
        )
        assert outcome.reason == "epochs"
        assert state.best_value == 1.0
        np.testing.assert_array_equal(state.theta, kept[1])

    @pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
    def test_a_callback_may_be_told_of_the_start(self, optimiser):
        class Recorder:
            told = ()
            epochs = 0

            def begin(self, objective, training, batch, state):
                self.told = training.optimiser, len(batch), state.epochs, objective.network.inputs

            def __call__(self, epoch):
                assert self.told
                self.epochs += 1

        recorder = Recorder()
        run_training(Training(optimiser, epochs=3), callbacks=[recorder])
        assert recorder.told[0].startswith(optimiser) and recorder.told[2] == 0
        assert recorder.epochs > 0

    def test_a_callback_may_stop_and_may_not_write(self):
        def callback(epoch):
            with pytest.raises(ValueError, match="read-only"):
                epoch.theta[:] = 0
            return epoch.number == 2

        _, outcome = run_training(Training(), callbacks=[callback])
        assert (outcome.reason, outcome.epochs) == ("callback", 2)
        _, outcome = run_training(Training("lbfgs"), callbacks=[callback])
        assert (outcome.reason, outcome.epochs) == ("callback", 2)

    @pytest.mark.parametrize("engine", ["interpreted", "compiled"])
    def test_divergence_stops_at_once_with_finite_parameters(self, engine):
        training = Training("gradient_descent", 1e200, batch_size=10)
        state, outcome = run_training(training, engine=engine)
        assert outcome.reason == "diverged"
        assert "epoch 1" in outcome.detail
        assert np.isfinite(state.theta).all()

    def test_ctrl_c_keeps_finite_parameters(self):
        def interrupt(epoch):
            raise KeyboardInterrupt

        state, outcome = run_training(Training(), callbacks=[interrupt])
        assert outcome.reason == "interrupted"
        assert np.isfinite(state.theta).all()

    def test_full_batch_methods_end_for_their_reasons(self):
        assert run_training(Training("lbfgs", epochs=3, tol=1e-9))[1].reason == "epochs"
        assert run_training(Training("lbfgs", max_evaluations=4, tol=1e-9))[1].reason == "evaluations"
        assert run_training(Training("lbfgs", tol=10.0))[1].reason == "converged"
        flat = train.Monitor("flat", lambda predict: 1.0)
        assert run_training(Training("lbfgs", patience=2, tol=1e-9), monitor=flat)[1].reason == "converged"

    def test_levenberg_marquardt_says_what_it_cannot_do(self):
        with pytest.raises(OptionError, match="sum of squares"):
            run_training(Training("levenberg_marquardt"), loss="poisson")
        with pytest.raises(OptionError, match="no penalty but l2"):
            run_training(Training("levenberg_marquardt"), strengths={"l1": 0.1})

    @pytest.mark.parametrize(
        "training",
        [
            *(Training(name, epochs=5, batch_size=20, tol=1e-9) for name in OPTIMISERS),
            *(Training("momentum", 0.1, name, 20, 5, tol=10.0, patience=1) for name in SCHEDULES),
        ],
        ids=lambda training: f"{training.optimiser} {training.schedule}",
    )
    def test_it_goes_on_from_any_rest_with_the_same_bits(self, training, monkeypatch):
        monkeypatch.setattr(train, "SLICE_SECONDS", 0.0)  # after the first epoch, a rest after each step
        rows, kept = 60, []

        def go_on(state, position, rng, **options):
            objective = Objective(make_network("squared_error", "tanh"))
            batch = make_problem(objective.network, rows=rows)[1]
            options["monitor"] = train.Monitor("size", lambda predict: float(abs(predict(batch.X)).sum()))
            run = train.make_run(objective, training, "interpreted")
            order = functools.partial(rng.permutation, rows)
            return train.fit(
                objective, training, batch, state, run=run, order=order, position=position, **options
            )

        theta = make_problem(make_network("squared_error", "tanh"))[0]
        state, rng = train.State.begin(theta, training), np.random.default_rng(0)
        position = train.Position(theta.copy())
        outcome = go_on(
            state, position, rng, rest=lambda position: kept.append(copy.deepcopy((state, position, rng)))
        )
        assert len(kept) >= 3
        for again, place, numbers in kept:
            assert go_on(again, place, numbers) == outcome
            for name, value in vars(state).items():
                np.testing.assert_array_equal(getattr(again, name), value)

    def test_an_unknown_engine_gets_a_sentence(self):
        with pytest.raises(OptionError, match="engine must be"):
            run_training(Training(), engine="quick")

    @pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
    def test_training_in_pieces_gives_the_same_bits(self, optimiser):
        training = Training(optimiser, epochs=4, batch_size=7, tol=1e-9)
        whole, outcome = run_training(training)
        objective = Objective(make_network("squared_error", "tanh"))
        theta, batch = make_problem(objective.network, rows=60)
        state = train.State.begin(theta, training)
        run = train.make_run(objective, training, "interpreted")
        pieces = train.stretches(objective, training, batch, state, run=run)
        next(pieces)
        assert state.t == state.epochs == 0
        ended = None
        for length in itertools.cycle([1, 3, None]):
            try:
                before = state.t
                pieces.send(length)
                assert length is None or state.t - before <= length
            except StopIteration as end:
                ended = end.value
                break
        assert np.array_equal(state.theta, whole.theta) and state.history == whole.history
        assert ended == outcome

    def test_shuffling_can_be_left_out(self):
        a, b = (run_training(Training(epochs=2, batch_size=7, shuffle=s))[0].theta for s in (False, True))
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_two_equals_the_row_twice_and_two_copies_change_nothing(loss):
    objective = Objective(make_network(loss))
    theta, batch = make_problem(objective.network, rows=9)
    run = chainrule.reference.Run(objective)
    weights = np.ones(9)
    weights[4] = 2.0
    rows = [*range(9), 4]
    weighted = run.loss_and_gradient(theta, Batch(batch.X, batch.Y, weights))
    repeated = run.loss_and_gradient(theta, batch.take(rows))
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-14)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-11, atol=1e-15)
    twice = run.loss_and_gradient(theta, batch.take([*range(9), *range(9)]))
    assert twice[0] == pytest.approx(run.loss(theta, batch), rel=1e-14)


def test_the_check_speaks_of_the_model_kind():
    with pytest.raises(OptionError, match="no gradient to check"):
        chainrule.check_gradients(object(), np.zeros((2, 2)), np.zeros(2))
