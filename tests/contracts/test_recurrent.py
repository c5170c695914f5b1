"""Recurrent networks: gradients, patches of any length, teacher forcing, and runs that are resumed to the bit."""

import numpy as np
import pytest
import torch
from torch import nn

from narrows import Autoencoder, Training
from narrows.errors import InvalidParameterError
from narrows.networks import Recurrent, Sizes
from narrows.networks.recurrence import RecurrentMaps, with_feedback
from narrows.networks.steps import Patches
from narrows.training import Callback

CELLS = ("gru", "lstm")


def build(part, shape, n_latent=3, seed=0):
    return part.build(Sizes(shape, (n_latent,), (n_latent,)), torch.Generator().manual_seed(seed))


def layer(cell, n_hidden, n_groups=None):
    """Return a recurrent layer with weights far from zero, in float64."""
    made = RecurrentMaps(cell, n_hidden, n_groups).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(weight.numel()))
    return made


def inputs(cell, n_hidden, n_steps=6, n=4):
    width = {"gru": 3, "lstm": 4}[cell] * n_hidden
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, width, 1, n_steps, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("cell", CELLS)
def test_states_and_gradients_are_those_of_pytorch(cell):
    ours, x = layer(cell, 5), inputs(cell, 5).requires_grad_()
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](x.shape[1], 5, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.eye(x.shape[1]))
        theirs.bias_ih_l0.zero_()
        theirs.weight_hh_l0.copy_(ours.hidden.weight)
        theirs.bias_hh_l0.copy_(ours.hidden.bias)
    wanted = theirs(x.squeeze(2).transpose(1, 2))[0].transpose(1, 2).unsqueeze(2)
    found = ours(x)
    torch.testing.assert_close(found, wanted)
    by = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (of_x,) = torch.autograd.grad((wanted * by).sum(), x, retain_graph=True)
    (wanted * by).sum().backward()
    x.grad = None
    (found * by).sum().backward()
    torch.testing.assert_close(x.grad, of_x)
    torch.testing.assert_close(ours.hidden.weight.grad, theirs.weight_hh_l0.grad)
    torch.testing.assert_close(ours.hidden.bias.grad, theirs.bias_hh_l0.grad)


def test_gradients_of_a_gru_have_gradients():
    """Penalties such as the contractive one need them."""
    made, x = layer("gru", 3), inputs("gru", 3, n_steps=3, n=2).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x, *_weights: made(x), (x, *made.parameters()))


def test_the_gradient_that_comes_in_is_left_alone():
    made, x = layer("gru", 3), inputs("gru", 3).requires_grad_()
    states = made(x)
    by = torch.ones_like(states)
    kept = by.clone()
    states.backward(by)
    assert torch.equal(by, kept)


@pytest.mark.parametrize("cell", CELLS)
def test_feedback_by_weights_is_feedback_step_by_step(cell):
    """What the gates receive of the steps before is F (V h + c): the loop in words."""
    made, x = layer(cell, 4), inputs(cell, 4)
    generator = torch.Generator().manual_seed(3)
    feedback, weight = (
        torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((len(x[0]), 2), (2, 4))
    )
    bias = torch.tensor([0.3, -0.2], dtype=torch.float64)
    found = with_feedback(made, feedback, weight, bias)(x)
    received, before = x.clone(), torch.zeros(len(x), 4, dtype=torch.float64)
    for t in range(x.shape[3]):
        received[:, :, 0, t] += (before @ weight.T + bias) @ feedback.T
        before = made(received)[:, :, 0, t]
    torch.testing.assert_close(found[:, :, 0, -1], before)


@pytest.mark.parametrize("n_steps", [1, 3, 4, 7, 8, 9])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_patches_go_back_to_their_steps(n_steps, length):
    patches, maps = Patches(n_steps, length), torch.randn(2, 3, 1, n_steps)
    back = patches.back(3 * length, 3)
    with torch.no_grad():
        back.bias.zero_()
        back.weight.zero_()
        for channel in range(3):
            for step in range(length):
                back.weight[channel * length + step, channel, 0, step] = 1
    assert patches(maps).shape == (2, 3 * length, 1, -(-n_steps // length))
    torch.testing.assert_close(back(patches(maps)), maps)


@pytest.mark.parametrize("shape", [(1,), (2,), (17,), (140,), (9, 3)], ids=str)
@pytest.mark.parametrize("patch", [1, 4, 7])
def test_any_length_comes_back_as_it_was(shape, patch):
    encoder, decoder = build(Recurrent(width=4, patch=patch), shape)
    z = encoder(torch.rand(2, *shape))
    assert z.shape == (2, 3)
    assert decoder(z).shape == (2, *shape)


def test_a_state_depends_on_the_steps_before_only():
    made, x = layer("gru", 4), inputs("gru", 4)
    changed = x.clone()
    changed[:, :, :, 3:] += 1
    torch.testing.assert_close(made(changed)[..., :3], made(x)[..., :3])
    assert not torch.allclose(made(changed)[..., 3], made(x)[..., 3])


# Teacher forcing


@pytest.mark.parametrize("cell", CELLS)
def test_in_training_the_decoder_receives_the_steps_of_the_record(cell):
    encoder, decoder = build(Recurrent(width=6, patch=2, cell=cell, teacher_forcing=True), (12,))
    x, z = torch.rand(2, 12), torch.rand(2, 3)
    _, given = encoder.with_pool_indices(x)
    assert torch.equal(given[0], x)
    changed = x.clone()
    changed[:, 6:] += 1
    by_record, by_changed = decoder(z, (x,)), decoder(z, (changed,))
    torch.testing.assert_close(by_record[:, :8], by_changed[:, :8])  # of the patches before
    assert not torch.allclose(by_record[:, 8:], by_changed[:, 8:])
    encoder.eval()
    assert encoder.with_pool_indices(x)[1] == ()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_parameters", [1, 2])
def test_a_record_that_the_decoder_restores_itself_forces_nothing(cell, n_parameters):
    """If the record given is the restored one, both ways are the same. With several parameters, the first counts."""
    part = Recurrent(width=6, patch=2, cell=cell, teacher_forcing=True)
    out = (12, 3) if n_parameters == 1 else (12, 3, 2)
    _, decoder = part.build(Sizes((12, 3), (3,), (3,), out), torch.Generator().manual_seed(0))
    z = torch.rand(2, 3)
    restored = decoder(z)
    record = restored if n_parameters == 1 else restored[..., 0]
    torch.testing.assert_close(decoder(z, (record,)), restored)


def test_teacher_forcing_beside_a_linear_path_is_refused():
    with pytest.raises(InvalidParameterError, match="'teacher_forcing' of Recurrent must be False with linear_path"):
        Recurrent(teacher_forcing=True, linear_path=True)


# Training


class Kill(Callback):
    """Presses Ctrl-C at the end of the first epoch."""

    def epoch(self, row):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "network", [Recurrent(width=5), Recurrent(width=5, cell="lstm"), Recurrent(width=5, teacher_forcing=True)], ids=repr
)
def test_a_run_is_resumed_to_the_bit(network, tmp_path, monkeypatch):
    series = np.sin(np.arange(14) / 3 + np.random.default_rng(0).uniform(0, 6, (40, 1))).astype(np.float32)

    def model():
        training = Training(epochs=3, batch_size=8)
        return Autoencoder(2, network=network, record="series", training=training, artefacts=(), random_state=0)

    whole = model().fit(series)
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        model().fit(series, checkpoint=tmp_path / "run", callback=Kill())
    again = model().fit(series, checkpoint=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(again.transform(series), whole.transform(series))
    np.testing.assert_array_equal(again.reconstruct(series), whole.reconstruct(series))
