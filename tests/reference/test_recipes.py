"""What the recipes reach on MNIST: in full as their sources do (slow), and on a few thousand images in seconds."""

import pytest
import torch

import narrows

SLOW = pytest.mark.slow

# In full, on all 60,000 training images. The numbers beside them were measured with the originals' own programs.


@pytest.fixture(scope="module")
def reached(mnist_images):
    """Train a recipe in full, once, and return what it reaches on the test images."""
    torch.set_num_threads(2)
    done = {}

    def reach(name, corrupted=False, **changes):
        key = (name, corrupted, tuple(changes.items()))
        if key not in done:
            model = narrows.recipe(name, random_state=0, **changes).fit(mnist_images[0])
            done[key] = {
                **narrows.evaluate(model, mnist_images[1], corrupted=corrupted),
                "seconds": sum(row["seconds"] for row in model.history_),
            }
        return done[key]

    yield reach
    torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "changes", "metric", "at_most"),
    [
        ("deep-tied", {}, "sse_per_record", 13.47),  # its TensorFlow original: 13.47
        ("dense", {}, "cross_entropy_per_value", 0.083),  # its Keras original: 0.0825
        ("simple", {}, "cross_entropy_per_value", 0.101),  # its Keras original: 0.1007
        ("auto", {}, "sse_per_record", 3.6),
    ],
)
def test_in_full(name, changes, metric, at_most, reached):
    assert reached(name, **changes)[metric] <= at_most


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_default_takes_less_than_a_minute(reached):
    assert reached("auto")["seconds"] < 60


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_conv_denoising_in_full(reached):
    """As the lesson measures it, noisy test images in, cross-entropy with the clean ones; its original: 0.0993."""
    assert reached("conv-denoising", corrupted=True, training__epochs=10)["cross_entropy_per_value"] <= 0.099


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_conv_beats_vanilla_at_the_same_code_size(reached):
    assert reached("conv")["sse_per_record"] < reached("vanilla")["sse_per_record"]


# In seconds: fewer images, fewer epochs, smaller batches. Bounds leave a margin to what several seeds reached.


@pytest.fixture(scope="module")
def few(mnist_images):
    return mnist_images[0][:5000], mnist_images[1][:1000]


def reach_in_seconds(name, few, *, n, n_test=1000, corrupted=False, **training):
    train, test = few
    changes = {f"training__{option}": value for option, value in training.items()}
    model = narrows.recipe(name, random_state=0, **changes).fit(train[:n])
    return narrows.evaluate(model, test[:n_test], corrupted=corrupted)


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize(
    ("name", "n", "training", "metric", "at_most"),
    [
        ("deep-tied", 1500, {"epochs": 5, "batch_size": 16, "optimiser__learning_rate": 2e-3}, "sse_per_record", 26.0),
        pytest.param("dense", 1500, {"epochs": 6, "batch_size": 16}, "cross_entropy_per_value", 0.155, marks=SLOW),
        pytest.param("simple", 3000, {"epochs": 10, "batch_size": 32}, "cross_entropy_per_value", 0.13, marks=SLOW),
        ("auto", 1500, {"epochs": 5}, "sse_per_record", 10.0),  # PCA of all 60,000 images: 13.19
    ],
)
def test_in_seconds(name, n, training, metric, at_most, few):
    assert reach_in_seconds(name, few, n=n, **training)[metric] <= at_most


@pytest.mark.slow
@pytest.mark.usefixtures("chain_only")
def test_conv_beats_vanilla_at_the_same_code_size_in_seconds(few):
    few_steps = {"n": 1000, "n_test": 300, "epochs": 2, "batch_size": 4, "optimiser__learning_rate": 2e-3}
    conv, vanilla = (reach_in_seconds(name, few, **few_steps)["sse_per_record"] for name in ("conv", "vanilla"))
    assert conv < 0.95 * vanilla


@pytest.mark.slow
@pytest.mark.usefixtures("chain_only")
def test_conv_denoising_in_seconds(few):
    got = reach_in_seconds("conv-denoising", few, n=400, n_test=100, corrupted=True, epochs=3, batch_size=4)
    assert got["cross_entropy_per_value"] <= 0.15
