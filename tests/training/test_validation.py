"""The validation loss is that of the learner as it is used: in eval mode. Training goes on in train mode."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.bottlenecks import Plain
from narrows.chain import Chain, Loss, Parts
from narrows.estimators.label_training import LabelLearner
from narrows.likelihoods import Bernoulli
from narrows.lossless import CausalNetwork
from narrows.networks import Dense
from narrows.training import Callback, LabelledRecords, Records, Stage, train
from narrows.training.pretraining import LayerWise
from narrows.training.validation import mean_loss
from narrows.training.workers import Workers

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 2, (8, 3, 4)).astype(np.uint8)
RECORDS = Records(IMAGES, CPU)


class Moody(nn.Module):
    """A learner whose records cost 1 in train mode, and 2 in eval mode."""

    shape = (3, 4)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def loss(self, records, generator=None):
        nothing = torch.zeros(len(records))
        return Loss(self.weight * 0 + (1.0 if self.training else 2.0) + nothing, nothing, nothing)


class Broken(Moody):
    def loss(self, records, generator=None):
        raise ArithmeticError


def test_validation_is_in_eval_mode_and_training_in_train_mode():
    learner = Moody()
    (history,) = train([Stage(learner, RECORDS, RECORDS, Training(epochs=3, batch_size=4))], learner, seed=0)
    assert [(row.loss, row.validation_loss) for row in history] == [(1.0, 2.0)] * 3
    assert learner.training


@pytest.mark.parametrize("mode", [True, False])
def test_the_learner_is_given_back_in_the_mode_it_came_in(mode):
    learner = Moody().train(mode)
    assert mean_loss(learner, RECORDS, Workers(1)) == 2.0
    assert learner.training is mode
    broken = Broken().train(mode)
    with pytest.raises(ArithmeticError):
        mean_loss(broken, RECORDS, Workers(1))
    assert broken.training is mode


def make_chain():
    network = Dense(widths=(5,), activation="sigmoid", code_activation="sigmoid")
    parts = Parts(n_latent=2, network=network, bottleneck=Plain(), likelihood=Bernoulli())
    return Chain(parts, (3, 4), np.dtype(np.uint8), torch.Generator().manual_seed(0))


def learners():
    chain = make_chain()
    layers = {stage.name: stage.learner for stage in LayerWise().stages(chain, RECORDS)}
    residual = CausalNetwork().build((3, 4), np.dtype(np.uint8), torch.Generator().manual_seed(0))
    return {"chain": chain, "classifier": LabelLearner(chain, nn.Linear(2, 2)), "residuals": residual, **layers}


@pytest.mark.parametrize("name", learners())
def test_all_that_the_loss_goes_through_changes_its_mode(name):
    """Modules of the chain as well that a learner does not train: layers before, preprocessing."""
    learner = learners()[name]
    records = LabelledRecords(RECORDS, np.arange(8) % 2) if name == "classifier" else RECORDS
    modes = []
    handle = register_module_forward_pre_hook(lambda module, _: modes.append(module.training))
    try:
        mean_loss(learner, records, Workers(1))
        assert set(modes) == {False}
        modes.clear()
        learner.loss(next(iter(records.batches(4))))
        assert set(modes) == {True}
    finally:
        handle.remove()


class Modes(Callback):
    """Notes whether a model is training at the end of each epoch, when validation is over."""

    def __init__(self, monkeypatch):
        self.seen = []
        usual = Chain.prepare

        def prepare(chain, records):
            self.seen[-1].add((torch.is_grad_enabled(), chain.training))
            return usual(chain, records)

        monkeypatch.setattr(Chain, "prepare", prepare)

    def start(self, n_epochs, n_records, epochs_done):
        self.seen.append(set())


@pytest.mark.parametrize("is_classifier", [False, True])
def test_a_fit_trains_in_train_mode_and_validates_in_eval_mode(is_classifier, monkeypatch):
    """Of each record: with gradients while training, without while validating."""
    settings = Training(epochs=2, batch_size=4, validation=0.25)
    model = Autoencoder(2, network=Dense(widths=(3,)), training=settings, random_state=0)
    if is_classifier:
        model = AutoencoderClassifier(model, training=settings, random_state=0)
    callback = Modes(monkeypatch)
    callback.seen.append(set())  # of what comes before the training
    model.fit(IMAGES, np.arange(8) % 2, callback=callback)
    assert all({(True, True), (False, False)} <= modes for modes in callback.seen[1:])
    assert not any((True, False) in modes or (False, True) in modes for modes in callback.seen[1:])
    assert not model.chain_.training
