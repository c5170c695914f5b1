"""What sparse and contractive autoencoders are for, on scikit-learn's digits: trained, used, saved and archived."""

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import TopK
from narrows.errors import InvalidParameterError
from narrows.networks import Dense
from narrows.penalties import Contractive, KLSparsity

UNITS = Dense(widths=(), code_activation="sigmoid", output_activation="sigmoid")


def fit(digits, n_latent=24, network=UNITS, **parts):
    training = Training(epochs=15, batch_size=32)
    model = Autoencoder(n_latent, network=network, training=training, artefacts="codec", random_state=0, **parts)
    return model.fit(digits[0][:600])


@pytest.fixture(scope="module")
def usual_model(digits):
    return fit(digits)


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("target", [0.05, 0.2])
def test_units_become_as_active_as_wanted(target, digits, usual_model):
    usual = usual_model.transform(digits[1]).mean(axis=0)
    drawn = fit(digits, penalties=KLSparsity(weight=5, target=target)).transform(digits[1]).mean(axis=0)
    assert abs(drawn.mean() - target) < 0.04 < 0.1 < abs(usual.mean() - target)
    assert drawn.std() < usual.std()


@pytest.mark.usefixtures("chain_only")
def test_a_contractive_code_moves_less(digits, usual_model):
    x = digits[1].astype(np.float32)

    def moved(model):
        noisy = x + np.random.default_rng(0).normal(scale=8, size=x.shape)
        codes, others = (model.transform(np.clip(np.rint(images), 0, 255).astype(np.uint8)) for images in (x, noisy))
        return np.square(codes - others).sum(axis=1).mean()

    usual = moved(usual_model)
    little, much = (moved(fit(digits, penalties=Contractive(weight=weight))) for weight in (0.3, 3))
    assert much < 0.6 * usual
    assert much < little < usual


@pytest.mark.parametrize("k", [2, 8])
def test_top_k_codes_survive_the_model_file_and_the_archive(k, digits, tmp_path):
    model = fit(digits, network=Dense(widths=(32,), output_activation="sigmoid"), bottleneck=TopK(k=k))
    codes = model.transform(digits[1])
    assert (np.count_nonzero(codes, axis=1) == k).all()
    model.save(tmp_path / "model.safetensors")
    assert narrows.load(tmp_path / "model.safetensors").chain_.parts.bottleneck == TopK(k=k)

    symbols = model.quantise(digits[1])
    assert (np.count_nonzero(symbols, axis=1) <= k).all(), "what is zero stays zero"
    narrows.compress(digits[1], tmp_path / "archive.narrows", model=model)
    restored = narrows.restore(tmp_path / "archive.narrows", model=model).astype(float)
    errors = [np.square(x - digits[1]).mean() for x in (restored, model.reconstruct(digits[1]).astype(float))]
    assert errors[0] < 1.5 * errors[1]


def test_more_numbers_kept_restore_more_and_take_more_bytes(digits, tmp_path):
    network = Dense(widths=(32,), output_activation="sigmoid")
    found = []
    for k in (2, 8):
        model = fit(digits, network=network, bottleneck=TopK(k=k))
        error = narrows.evaluate(model, digits[1])["sse_per_record"]
        archive = tmp_path / f"{k}.narrows"
        narrows.compress(digits[1], archive, model=model)
        found.append((error, archive.stat().st_size))
    (error_of_2, bytes_of_2), (error_of_8, bytes_of_8) = found
    assert error_of_8 < 0.8 * error_of_2
    assert bytes_of_8 > bytes_of_2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bottleneck": TopK(k=25)}, "The 'k' of TopK must be ≤ 24, the numbers in the code. Got 25."),
        ({"penalties": "kl-sparsity", "network": "auto"}, "'kl-sparsity' penalty needs a code between 0 and 1"),
        ({"penalties": "kl-sparsity", "network": Dense(code_activation="tanh")}, "Got Dense with 'tanh'"),
    ],
)
def test_what_does_not_go_together_is_said_before_training(settings, said, digits):
    with pytest.raises(InvalidParameterError) as caught:
        fit(digits, **settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TopK(k=0), "The 'k' of TopK must be a whole number ≥ 1 or None. Got 0."),
        (lambda: KLSparsity(target=1), "The 'target' of KLSparsity must be a number > 0 and < 1. Got 1."),
        (lambda: Contractive(n_projections=0), "The 'n_projections' of Contractive must be a whole number ≥ 1. Got 0."),
        (lambda: narrows.recipe("da", corruption__level=1.5), "The 'level' of Masking must be a number ≥ 0 and ≤ 1."),
        (lambda: narrows.recipe("da", corruption__level=-0.1), "The 'level' of Masking must be a number ≥ 0 and ≤ 1."),
    ],
)
def test_what_cannot_be_is_said_at_once(make, said):
    with pytest.raises(InvalidParameterError) as caught:
        make()
    assert said in str(caught.value)


def test_tied_weights_need_mirrored_widths(digits):
    with pytest.raises(
        InvalidParameterError,
        match=r"a decoder that mirrors the encoder\. Got the encoder 64-500 and the decoder 500-300-",
    ):
        narrows.recipe("da", network__decoder_widths=(300,)).fit(digits[0][:40])
