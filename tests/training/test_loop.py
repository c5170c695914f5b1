"""What a run does, seen from outside: its steps, its history, when it stops, and what it leaves alone."""

import random
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from narrows import Autoencoder, Training
from narrows.chain import Loss
from narrows.errors import InvalidParameterError, TrainingDivergedError
from narrows.networks import Dense
from narrows.training import SGD, Adam, Callback, Cosine, Epoch, Optimiser, Records, Stage, train

CPU = torch.device("cpu")


class Witness(nn.Module):
    """A chain that writes down which records it sees, told apart by their value."""

    def __init__(self, loss_at=lambda step: 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen, self.noises, self.loss_at = [], [], loss_at

    def loss(self, records, generator=None):
        if generator is None:  # validation
            return Loss(records.double().mean(1), torch.zeros(len(records)), torch.zeros(len(records)))
        self.seen.append(records.flatten().tolist())
        self.noises.append(torch.rand(2, generator=generator).tolist())
        zeros = torch.zeros(len(records), dtype=torch.float64)
        return Loss(self.weight * 0 + self.loss_at(len(self.seen)) + zeros, zeros, zeros)


def run(chain, n=10, **settings):
    usual = {"epochs": 3, "batch_size": 4}
    callback = settings.pop("callback", None)
    values = np.arange(n, dtype=np.float64)[:, None]
    stage = Stage(chain, Records(values, CPU), None, Training(**{**usual, **settings}))
    (history,) = train([stage], chain, seed=1, callback=callback)
    return history


def epochs_of(seen, n_steps=3):
    return [list(chain.from_iterable(seen[start : start + n_steps])) for start in range(0, len(seen), n_steps)]


def test_without_shuffling_records_come_in_order():
    chain = Witness()
    run(chain, shuffle=False)
    assert chain.seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 3


def test_shuffled_epochs_see_every_record_once_each_in_a_new_order():
    chain, again = Witness(), Witness()
    run(chain)
    run(again)
    assert [len(batch) for batch in chain.seen] == [4, 4, 2] * 3
    epochs = epochs_of(chain.seen)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert again.seen == chain.seen


def test_every_step_has_noise_of_its_own():
    chain = Witness()
    run(chain)
    assert len({tuple(noise) for noise in chain.noises}) == 9


def test_the_loss_of_an_epoch_is_the_mean_over_its_records():
    history = run(Witness(float), shuffle=False)
    assert [row.loss for row in history] == [
        (1 * 4 + 2 * 4 + 3 * 2) / 10,
        (4 * 4 + 5 * 4 + 6 * 2) / 10,
        (28 + 32 + 18) / 10,
    ]


def test_a_batch_may_hold_all_records_and_more():
    chain = Witness()
    run(chain, batch_size=100, epochs=1, shuffle=False)
    assert chain.seen == [list(range(10))]


def test_history_rows_are_data(rng):
    model = Autoencoder(2, training=Training(epochs=3, validation=0.2), random_state=0).fit(rng.normal(size=(20, 4)))
    assert [row["epoch"] for row in model.history_] == [1, 2, 3]
    for row in model.history_:
        assert set(row) == {
            "epoch",
            "loss",
            "validation_loss",
            "learning_rate",
            "seconds",
            "records_per_second",
            "threads",
            "shards",
            "mse",
            "validation_mse",
        }
        assert all(isinstance(value, int | float) for value in row.values())
        assert row["records_per_second"] == pytest.approx(16 / row["seconds"])
        assert row["seconds"] > 0
    without = Autoencoder(2, network=Dense(), training=Training(epochs=1), random_state=0).fit(rng.normal(size=(20, 4)))
    assert without.history_[0]["validation_loss"] is None


def test_validation_is_the_score_on_records_that_were_not_trained_on(rng):
    x = rng.normal(size=(30, 4))
    settings = Training(epochs=2, validation=0.3)
    model = Autoencoder(2, training=settings, random_state=0, corruption="masking").fit(x)
    assert model.trained_on_.n_records == 21
    handed = Autoencoder(2, network=Dense(), training=Training(epochs=2), random_state=0).fit(x[:21], validation=x[21:])
    assert -handed.score(x[21:]) == pytest.approx(handed.history_[-1]["validation_loss"], rel=1e-5)
    assert handed.trained_on_.n_records == 21
    both = Autoencoder(2, network=Dense(), training=settings, random_state=0).fit(x[:21], validation=x[21:])
    assert both.history_[-1]["validation_loss"] == handed.history_[-1]["validation_loss"], (
        "no share is held out besides"
    )


def test_a_validation_share_must_leave_something(rng):
    with pytest.raises(InvalidParameterError, match=r"Got 0.9 of 1 record."):
        Autoencoder(1, training=Training(validation=0.9)).fit(rng.normal(size=(1, 4)))


@pytest.mark.parametrize(("n", "share", "said"), [(50, 0.001, "0.001 of 50 records"), (1, 0.5, "0.5 of 1 record,")])
def test_a_validation_share_must_hold_something(rng, n, share, said):
    with pytest.raises(InvalidParameterError, match=said):
        Autoencoder(2, training=Training(epochs=1, validation=share)).fit(rng.random((n, 4)))


def overfit(rng, **changes):
    x, other = rng.normal(size=(20, 10)), rng.normal(size=(20, 10))
    settings = Training(
        epochs=60, batch_size=5, optimiser=Adam(learning_rate=0.01), schedule="constant", **{"patience": 3, **changes}
    )
    return Autoencoder(8, network=Dense(), training=settings, random_state=0).fit(x, validation=other), other


@pytest.mark.usefixtures("chain_only")
def test_early_stopping_keeps_the_best_weights(rng):
    model, validation = overfit(rng)
    losses = [row["validation_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 60, "three epochs without a better one"
    assert -model.score(validation) == pytest.approx(losses[best], rel=1e-5)
    assert losses[-1] > losses[best] * 1.0001, "else the test would show nothing"
    patient, _ = overfit(np.random.default_rng(0), patience=5)
    assert len(patient.history_) == best + 1 + 5


def test_patience_needs_validation_data(rng):
    with pytest.raises(InvalidParameterError, match=r"'patience' needs validation records. Set training__validation"):
        Autoencoder(2, network=Dense(), training=Training(patience=2)).fit(rng.normal(size=(20, 4)))


@pytest.mark.parametrize(
    ("n", "settings", "epochs"),
    [(10, {"epochs": 7}, 7), (10, {}, 200), (1_000_000, {}, 3), (1_000_000, {"batch_size": 2}, 3)],
)
def test_how_many_epochs_a_run_has(n, settings, epochs):
    assert Training(**settings).n_epochs(n) == epochs


def test_more_records_need_fewer_epochs():
    epochs = [Training().n_epochs(n) for n in (100, 5_000, 20_000, 60_000, 10**6)]
    assert epochs == sorted(epochs, reverse=True)
    assert len(set(epochs)) >= 4


# A loss that stops being finite


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_and_says_where(value):
    with pytest.raises(TrainingDivergedError) as caught:
        run(Witness(lambda step: value if step == 5 else 1.0), optimiser=SGD(learning_rate=0.25), schedule="constant")
    assert isinstance(caught.value, ArithmeticError)
    assert str(caught.value).startswith(
        "The loss stopped being finite in epoch 2, at step 2 of 3, at a learning rate of 0.25."
    )


def test_a_learning_rate_that_is_too_high_is_noticed(rng):
    settings = Training(epochs=50, batch_size=5, optimiser=SGD(learning_rate=1e4))
    with pytest.raises(
        TrainingDivergedError,
        match=r"in epoch \d+, at step \d of 4, at a learning rate of .*Try \S+, and look for extreme values",
    ):
        Autoencoder(2, network=Dense(), training=settings, random_state=0).fit(rng.normal(size=(20, 4)))


def test_weights_spoilt_by_the_very_last_step_are_noticed(rng):
    """The loss before the step is finite, and there is no step after it."""
    settings = Training(epochs=1, batch_size=20, optimiser=SGD(learning_rate=1e300), schedule="constant")
    with pytest.raises(TrainingDivergedError, match="in epoch 1, after step 1 of 1"):
        Autoencoder(2, training=settings, random_state=0).fit(rng.normal(size=(20, 4)))


# Randomness and precision


def weights(model):
    return model.chain_.state_dict()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


@pytest.mark.usefixtures("chain_only")
def test_the_random_state_decides_everything(rng):
    x = rng.normal(size=(30, 4))

    def fit(seed):
        settings = Training(epochs=2, batch_size=8, validation=0.1)
        return Autoencoder(2, corruption="gaussian", training=settings, random_state=seed).fit(x)

    assert same(fit(1), fit(1))
    assert not same(fit(1), fit(2))
    assert same(fit(np.random.RandomState(3)), fit(3))
    assert same(fit(np.int64(3)), fit(3))


def global_states():
    of_numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), of_numpy, torch.get_rng_state().tolist()


def test_nobodys_global_seed_is_touched(rng):
    x = rng.normal(size=(20, 4))
    before = global_states()
    settings = Training(epochs=2, validation=0.2)
    model = Autoencoder(2, corruption="masking", training=settings, random_state=0).fit(x)
    model.corrupt(model.reconstruct(x), random_state=1)
    assert global_states() == before


def test_the_global_seed_does_not_matter(rng):
    x = rng.normal(size=(20, 4))
    with torch.random.fork_rng():
        models = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            models.append(Autoencoder(2, corruption="gaussian", training=Training(epochs=2), random_state=0).fit(x))
    assert same(*models)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_precision_is_that_of_the_weights(precision, rng):
    x = rng.normal(size=(20, 4))
    model = Autoencoder(2, training=Training(epochs=2, precision=precision), random_state=0).fit(x)
    assert {str(weight.dtype) for weight in model.chain_.parameters()} == {f"torch.{precision}"}
    assert model.transform(x).dtype == np.float64
    assert model.transform(x.astype(np.float32)).dtype == np.float32


@pytest.mark.usefixtures("chain_only")
def test_every_option_of_training_changes_something(rng):
    x = rng.normal(size=(40, 6))
    usual = {"epochs": 2, "batch_size": 16}

    def history(**changes):
        model = Autoencoder(3, training=Training(**{**usual, **changes}), random_state=0).fit(x)
        return [(row["loss"], row["validation_loss"], row["learning_rate"]) for row in model.history_]

    changes = {
        "epochs": 3,
        "batch_size": 8,
        "optimiser": "sgd",
        "schedule": "constant",
        "validation": 0.2,
        "shuffle": False,
        "precision": "float64",
    }
    unchanged = history()
    for name, value in changes.items():
        assert history(**{name: value}) != unchanged, name
    assert history(validation=0.2, epochs=40, patience=1, optimiser=Adam(learning_rate=0.1)) != history(
        validation=0.2, epochs=40, optimiser=Adam(learning_rate=0.1)
    )
    assert history(validation=0.2, averaging=0.9) != history(validation=0.2)
    assert {*changes, "averaging", "patience", "device", "threads"} == set(Training().get_params(deep=False))


def test_a_device_that_is_not_there_is_refused(rng, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidParameterError, match="The device 'cuda' was requested, but PyTorch finds none"):
        Autoencoder(2, training=Training(device="cuda")).fit(rng.normal(size=(20, 4)))


# Watching


class Diary(Callback):
    def __init__(self):
        self.rows = []

    def start(self, n_epochs, n_records, epochs_done):
        self.rows.append(("start", n_epochs, n_records, epochs_done))

    def step(self, epoch, records_done, loss):
        self.rows.append(("step", epoch, records_done, loss))

    def epoch(self, row):
        self.rows.append(("epoch", row))

    def stop(self):
        self.rows.append(("stop",))


def test_a_callback_is_told_how_it_goes(monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    diary = Diary()
    history = run(Witness(float), epochs=2, callback=diary)
    assert diary.rows[0] == ("start", 2, 10, 0)
    assert [row[1:3] for row in diary.rows if row[0] == "step"] == [(1, 4), (1, 8), (1, 10), (2, 4), (2, 8), (2, 10)]
    assert [row[3] for row in diary.rows if row[0] == "step"][:3] == [1, 1.5, 1.8], "the mean loss so far"
    assert [row[1] for row in diary.rows if row[0] == "epoch"] == history
    assert isinstance(history[0], Epoch)
    assert diary.rows[-1] == ("stop",)


def test_a_callback_may_stop_a_run():
    class EnoughAfterTwo(Callback):
        def epoch(self, row):
            return row.epoch == 2

    assert len(run(Witness(float), epochs=5, callback=EnoughAfterTwo())) == 2


def test_a_callback_is_told_that_a_run_failed():
    diary = Diary()
    with pytest.raises(TrainingDivergedError):
        run(Witness(lambda step: float("nan")), callback=diary)
    assert diary.rows[-1] == ("stop",)


@pytest.mark.parametrize("optimiser", Optimiser.registry)
def test_a_step_does_not_wait_for_the_device(optimiser, monkeypatch, rng):
    """However many steps an epoch has, as many values are fetched from the device: only the clock asks for more."""
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    calls = Counter()

    def counted(name):
        original = getattr(torch.Tensor, name)

        def count(self, *args, **kwargs):
            calls[name] += 1
            return original(self, *args, **kwargs)

        return count

    for name in ("item", "__float__", "__bool__", "__int__", "tolist", "numpy", "cpu", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    x, counts = rng.normal(size=(60, 4)), []
    for batch_size in (60, 30, 2):
        calls.clear()
        settings = Training(epochs=2, batch_size=batch_size, optimiser=optimiser, schedule=Cosine())
        Autoencoder(2, corruption="masking", training=settings, random_state=0).fit(x)
        counts.append(dict(calls))
    assert counts[0]
    assert counts[0] == counts[1] == counts[2]


def test_the_clock_asks_for_a_look_at_the_loss_a_few_times_a_second(monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr("time.monotonic", lambda: next(now) * 0.01)  # a hundredth of a second each time it is asked
    diary = Diary()
    run(Witness(), n=400, batch_size=1, epochs=1, callback=diary)
    assert 400 * 0.01 / 0.25 / 2 <= sum(row[0] == "step" for row in diary.rows) <= 2 * 400 * 0.01 / 0.25 + 1
