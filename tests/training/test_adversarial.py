"""Two sides with an optimiser each: both learn, a resumed run ends with the same weights, and a collapse is named."""

import os
import signal

import numpy as np
import pytest
import torch
from safetensors import safe_open

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.adversaries import Codes, Forward, Records
from narrows.adversaries.discriminators import DenseDiscriminator
from narrows.errors import InvalidParameterError, TrainingCollapsedError, UnfinishedWarning
from narrows.training import Adam, Callback
from narrows.training.averages import Averages
from narrows.training.opponent import Opponent

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)) @ RNG.normal(size=(6, 6))
ADVERSARIES = {"codes": Codes(widths=(8,)), "records": Records(widths=(8,))}

pytestmark = pytest.mark.usefixtures("chain_only")


def make(adversary="codes", training=None, **changes):
    settings = Training(**{"epochs": 4, "batch_size": 10, "averaging": 0.9, **(training or {})})
    usual = {"network": "dense", "bottleneck": "gaussian", "likelihood": "normal", "random_state": 7}
    return Autoencoder(
        3,
        adversary=ADVERSARIES[adversary] if isinstance(adversary, str) else adversary,
        training=settings,
        **(usual | changes),
    )


def outcome(model):
    rows = [{key: row[key] for key in ("epoch", "loss", "validation_loss")} for row in model.history_]
    return {name: weight.tolist() for name, weight in model.chain_.state_dict().items()}, rows


class StopAt(Callback):
    def __init__(self, at):
        self.left = at

    def step(self, epoch, records_done, loss):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_a_run_goes_on_with_both_sides_as_they_were(adversary, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    settings = {"training": {"validation": 0.2}}
    whole, path = outcome(make(adversary, **settings).fit(X)), tmp_path / "checkpoint"
    for stop_after in (2, 3, 4):  # within an epoch, and across its end
        with pytest.raises(KeyboardInterrupt):
            make(adversary, **settings).fit(X, checkpoint=path, resume=True, callback=StopAt(stop_after))
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    assert {"weights.discriminator.head.weight", "opponent.watched", "opponent.moments.0.exp_avg"} <= names
    with pytest.warns(UnfinishedWarning):
        unfinished = narrows.load(path)
    assert unfinished.transform(X).shape == (40, 3)
    with safe_open(path, "pt") as file:
        mean = file.get_tensor("average.chain.encoder.layers.0.weight")
    assert torch.equal(unfinished.chain_.state_dict()["encoder.layers.0.weight"], mean)
    assert outcome(make(adversary, **settings).fit(X, checkpoint=path, resume=True)) == whole


def test_the_model_has_neither_discriminator_nor_contest(tmp_path):
    path = tmp_path / "model.safetensors"
    model = make("records").fit(X)
    model.save(path)
    with safe_open(path, "pt") as file:
        assert not [name for name in file.keys() if "discriminator" in name]  # noqa: SIM118
    read = narrows.load(path)
    assert read.adversary == ADVERSARIES["records"]
    np.testing.assert_array_equal(read.sample(3, random_state=0), model.sample(3, random_state=0))
    loss = model.chain_.loss(torch.from_numpy(X))
    assert float(loss.penalty.detach().abs().sum()) == 0


def test_both_optimisers_bring_codes_to_the_prior():
    """Codes around 3 with a deviation of 0.2 learn to have the mean 0 and the deviation 1."""
    noise = torch.Generator().manual_seed(0)
    part = Codes(widths=(32,), learning_rate=5e-3)
    discriminator = DenseDiscriminator(2, part.widths, noise)
    opponent = Opponent.of(discriminator, Adam(learning_rate=part.learning_rate, beta1=0.5), part.judges)
    mean, deviation = (torch.nn.Parameter(torch.full((2,), value)) for value in (3.0, 0.2))
    ours = Adam(learning_rate=0.03, beta1=0.5).build([mean, deviation])
    for _ in range(500):
        z = mean + deviation * torch.randn(64, 2, generator=noise)
        contest = part.contest(None, discriminator, Forward(None, z, None), noise)
        ours.zero_grad()
        opponent.backward(contest.cost.mean(), contest, ours.weights)
        opponent.step(contest, 1.0)
        ours.step()
    assert float(mean.detach().abs().max()) < 0.4
    assert float((deviation.detach().abs() - 1).abs().max()) < 0.4
    opponent.check("epoch 1")  # no side has collapsed
    assert float(opponent.watched[0]) == 500


def test_more_epochs_begin_with_a_new_discriminator():
    model = make().fit(X)
    model.fit(X, more_epochs=2)
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4, 5, 6]
    model.partial_fit(X)
    assert len(model.history_) == 7


# Collapse


def test_a_discriminator_that_tells_all_right_ends_the_run(monkeypatch):
    monkeypatch.setattr("narrows.training.opponent._FEWEST", 40)
    monkeypatch.setattr("narrows.training.opponent._DECAY", 0.9)
    part = Records(widths=(16,), learning_rate=0.05, gradient_penalty=0.0)
    settings = {"epochs": 60, "optimiser": Adam(learning_rate=1e-9)}  # the decoder stays where it is
    model = make(part, settings, preprocessing=())
    with pytest.raises(
        TrainingCollapsedError, match=r"contest over records collapsed in epoch \d+, by step 4: .* tells"
    ):
        model.fit(X + 20)
    assert not hasattr(model, "model_")


def test_codes_that_are_all_alike_end_the_run(monkeypatch):
    monkeypatch.setattr("narrows.training.opponent._FEWEST", 40)
    model = make("codes", {"epochs": 20}, bottleneck="plain", preprocessing=())
    with pytest.raises(TrainingCollapsedError, match=r"The codes collapsed in epoch 10.* of that of the real ones"):
        model.fit(1e-9 * X)


def test_a_young_contest_has_not_collapsed():
    discriminator = DenseDiscriminator(2, (), torch.Generator().manual_seed(0))
    opponent = Opponent.of(discriminator, Adam(), "codes")
    opponent.watched.copy_(torch.tensor([499.0, 1.0, 0.0]))
    opponent.check("epoch 1")
    opponent.watched[0] = 500
    with pytest.raises(TrainingCollapsedError):
        opponent.check("epoch 1")


def test_a_discriminator_that_is_not_finite_ends_the_run():
    discriminator = DenseDiscriminator(2, (), torch.Generator().manual_seed(0))
    torch.nn.init.constant_(discriminator.head.weight, float("inf"))
    with pytest.raises(TrainingCollapsedError, match=r"discriminator of codes collapsed in epoch 1.*Lower adv"):
        Opponent.of(discriminator, Adam(), "codes").check("epoch 1")


@pytest.mark.parametrize("pretrain", [True, False])
def test_a_new_classifier_takes_no_adversary(pretrain):
    model = AutoencoderClassifier(make(), pretrain=pretrain, training=Training(epochs=1))
    with pytest.raises(InvalidParameterError, match="autoencoder of a new classifier cannot have an adversary"):
        model.fit(X, np.arange(40) % 2)
    with pytest.raises(InvalidParameterError, match="Got adversary='codes'"):
        model.partial_fit(X, np.arange(40) % 2, classes=[0, 1])


def test_a_classifier_starts_from_an_autoencoder_that_was_trained_against_an_adversary():
    model = AutoencoderClassifier(make(), training=Training(epochs=1), random_state=0)
    model.fit(X, np.arange(40) % 2, start=make().fit(X))
    assert model.fit(X, np.arange(40) % 2, more_epochs=1).predict(X).shape == (40,)


# Means of weights


def test_the_mean_of_the_weights_is_kept():
    class Learner(torch.nn.Linear):
        pass

    learner = Learner(1, 1, bias=False)
    averages, mean = Averages(learner, 0.5), float(learner.weight.detach())
    for step in range(1, 30):
        with torch.no_grad():
            learner.weight.fill_(step)
        averages.update()
        decay = min(0.5, step / (step + 10))
        mean = decay * mean + (1 - decay) * step
    with averages.applied():
        assert float(learner.weight.detach()) == pytest.approx(mean)
    assert float(learner.weight.detach()) == 29
    averages.keep()
    assert float(learner.weight.detach()) == pytest.approx(mean)


def test_validation_measures_the_mean_that_is_kept():
    model = make(None, {"validation": 0.2, "averaging": 0.95}).fit(X)
    last = make(None, {"validation": 0.2, "averaging": 0.0}).fit(X)
    assert model.history_[0]["loss"] == last.history_[0]["loss"]
    assert model.history_[-1]["validation_loss"] != last.history_[-1]["validation_loss"]


def test_a_convolutional_discriminator_needs_images():
    with pytest.raises(InvalidParameterError, match=r"needs images. Got records of shape \(6,\). Set kind='dense'"):
        make(Records(kind="convolutional")).fit(X)
