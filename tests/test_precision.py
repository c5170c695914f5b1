"""Records in float64 are worked on by a copy of the chain in float64, which is made once and follows the chain."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Training
from narrows.chain import Chain
from narrows.corruptions import Masking
from narrows.model.precision import in_float64
from narrows.networks import Dense

pytestmark = pytest.mark.usefixtures("chain_only")

X = np.random.default_rng(0).normal(size=(20, 4))


@pytest.fixture
def model():
    network = Dense(widths=(3,), tied=True)
    return Autoencoder(2, network=network, training=Training(epochs=1, validation=0.2), random_state=0).fit(X)


@pytest.fixture
def copies(monkeypatch):
    """Return the chains that have been copied since the test began."""
    copied, deepcopy = [], copy.deepcopy

    def counted(thing, *memo):
        copied.extend([id(thing)] if isinstance(thing, Chain) else [])
        return deepcopy(thing, *memo)

    monkeypatch.setattr(copy, "deepcopy", counted)
    return copied


def anew(model, x):
    """What a copy that is made for this call alone says."""
    fresh = copy.deepcopy(model)
    fresh.chain_.double()
    return fresh.transform(x)


def test_all_calls_share_one_copy(model, copies):
    codes = model.transform(X)
    again = (model.transform(X), model.reconstruct(X), model.inverse_transform(codes), model.score(X))
    assert copies == [id(model.chain_)]
    np.testing.assert_array_equal(again[0], codes)


def test_the_copy_says_what_one_made_for_the_call_says(model):
    for _ in range(2):
        np.testing.assert_array_equal(model.transform(X), anew(model, X))
    twin = in_float64(model.chain_)
    assert {tensor.dtype for tensor in twin.parameters()} == {torch.float64}
    assert all(weight.grad is None for weight in twin.parameters())
    assert len(list(twin.parameters())) == len(list(model.chain_.parameters())), "tied weights stay tied"


def in_place(chain):
    with torch.no_grad():
        next(chain.encoder.parameters()).mul_(2)


def through_data(chain):
    next(chain.encoder.parameters()).data.mul_(2)


def through_numpy(chain):
    next(chain.encoder.parameters()).detach().numpy()[:] *= 2


def by_loading(chain):
    chain.load_state_dict({name: 2 * tensor for name, tensor in chain.state_dict().items()})


def of_a_buffer(chain):
    next(chain.buffers()).add_(1)


def by_another_module(chain):
    chain.encoder = copy.deepcopy(chain.encoder)
    in_place(chain)


CHANGES = [in_place, through_data, through_numpy, by_loading, of_a_buffer, by_another_module]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_weights_is_followed(model, change):
    before = model.transform(X)
    change(model.chain_)
    after = model.transform(X)
    assert (after != before).any()
    np.testing.assert_array_equal(after, anew(model, X))


def test_a_model_trained_again_has_another(model, copies):
    first = model.transform(X)
    model.set_params(random_state=1).fit(X)
    copies.clear()
    assert (model.transform(X) != first).any()
    assert copies == [id(model.chain_)]
    np.testing.assert_array_equal(model.transform(X), anew(model, X))


def test_whether_the_chain_is_training_is_followed(model):
    assert not in_float64(model.chain_).training
    model.chain_.train()
    assert in_float64(model.chain_).training


def test_a_copy_made_in_inference_mode_can_be_brought_up_to_date_outside(model):
    with torch.inference_mode():
        model.transform(X)
    in_place(model.chain_)
    np.testing.assert_array_equal(model.transform(X), anew(model, X))


def test_a_chain_in_float64_needs_none(model):
    model.transform(X)
    model.chain_.double()
    assert in_float64(model.chain_) is model.chain_


def test_it_is_neither_pickled_nor_copied_nor_saved(model, tmp_path):
    def sizes():
        model.save(tmp_path / "model", force=True)
        return len(pickle.dumps(model)), (tmp_path / "model").stat().st_size, len(vars(copy.deepcopy(model).chain_))

    before = sizes()
    model.transform(X)
    assert sizes() == before


def test_it_goes_with_the_chain(model):
    twin = weakref.ref(in_float64(model.chain_))
    assert twin() is not None
    model.fit(X)
    gc.collect()
    assert twin() is None


def test_each_chain_has_its_own(model):
    other = copy.deepcopy(model)
    in_place(other.chain_)
    assert in_float64(other.chain_) is not in_float64(model.chain_)
    assert (other.transform(X) != model.transform(X)).any()


def test_noise_is_that_of_the_chain():
    model = Autoencoder(2, corruption=Masking(level=0.5), training=Training(epochs=1), random_state=0).fit(X)
    first = model.corrupt(X, random_state=3)
    np.testing.assert_array_equal(model.corrupt(X, random_state=3), first)
