"""The object people hold: scikit-learn's contract, what goes in and comes back, what is refused, floors of quality."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import narrows
from narrows import Autoencoder, Training
from narrows.corruptions import Gaussian, Masking, SaltAndPepper
from narrows.errors import (
    DataError,
    DataNotFoundError,
    InvalidParameterError,
    NonFiniteDataError,
    ShapeMismatchError,
    UnknownNameError,
)
from narrows.likelihoods import Laplace, Normal
from narrows.networks import Convolutional, Dense
from narrows.penalties import L1
from narrows.preprocessing import MeanRemoval, Standardise, UnitScale
from narrows.training import SGD, Adam

QUICK = Training(epochs=2)


def quick(n_latent=2, **params):
    return Autoencoder(n_latent, **{"training": QUICK.clone(), "random_state": 0, **params})


@pytest.fixture
def table(rng):
    return rng.normal(size=(40, 6)) * [1, 10, 100, 1, 0.1, 1] + [0, 5, 0, 0, 0, 1e3]


# scikit-learn's contract


STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "with repeated records the batches of a run are others; "
    "tests/training/test_weights.py checks it for one batch with all records"
}


@parametrize_with_checks([Autoencoder()], expected_failed_checks=lambda estimator: STOCHASTIC)
def test_scikit_learn(estimator, check, monkeypatch):
    monkeypatch.setattr("narrows.training.settings._MOST_EPOCHS", 1)  # none of the checks asks for more
    check(estimator)


def test_the_constructor_only_stores():
    given = {
        "n_latent": "?", "network": 1, "bottleneck": 2, "likelihood": 3, "corruption": 4, "penalties": 5,
        "preprocessing": 6, "pretraining": 10, "residual": 9, "record": 12, "conditional": 11, "training": 7,
        "random_state": 8, "artefacts": 13, "fill_value": 14, "real_values": 15, "warm_start": 16, "verbose": 17,
        "race": 18, "adversary": 19,
    }  # fmt: skip
    assert Autoencoder(**given).get_params(deep=False) == given
    assert set(given) == set(inspect.signature(Autoencoder).parameters)


def test_in_a_pipeline(table):
    pipeline = make_pipeline(StandardScaler(), quick())
    codes = pipeline.fit_transform(table)
    assert codes.shape == (40, 2)
    assert pipeline.inverse_transform(codes).shape == table.shape
    classifier = make_pipeline(quick(), LogisticRegression()).fit(table, table[:, 0] > 0)
    assert classifier.predict(table).shape == (40,)


@pytest.mark.usefixtures("chain_only")
def test_grid_search_sets_nested_parameters(table):
    grid = {
        "n_latent": [1, 3],
        "training__optimiser__learning_rate": [1e-5, 1e-2],
        "corruption__level": [0.0, 0.5],
    }
    search = GridSearchCV(quick(corruption="masking", training=Training(epochs=8)), grid, cv=2).fit(table)
    assert search.best_estimator_.n_latent_ == search.best_params_["n_latent"]
    assert search.best_estimator_.chain_.corruption == Masking(level=search.best_params_["corruption__level"])
    assert search.best_params_["training__optimiser__learning_rate"] == 1e-2, "what hardly learns is not chosen"
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 8, "every parameter matters"


def test_clones_are_equal_and_share_nothing(table):
    model = quick(
        network=Dense(widths=(7,)), preprocessing=(UnitScale(), "mean-removal"), penalties=[L1(weight=0.2)],
        corruption=Masking(level=0.1),
    ).fit(table)  # fmt: skip
    twin = clone(model)
    assert repr(twin) == repr(model)
    assert not hasattr(twin, "chain_")
    twin.network.widths = (1,)
    twin.corruption.set_params(level=1)
    assert model.network.widths == (7,)
    assert model.corruption.level == 0.1
    fitted = clone(model).fit(table)
    np.testing.assert_array_equal(fitted.transform(table), model.transform(table))


def test_names_of_the_codes(table):
    model = quick(3).fit(table)
    assert model.get_feature_names_out().tolist() == ["autoencoder0", "autoencoder1", "autoencoder2"]
    frame = quick(2).set_output(transform="pandas").fit_transform(pd.DataFrame(table, index=range(100, 140)))
    assert frame.columns.tolist() == ["autoencoder0", "autoencoder1"]
    assert frame.index.tolist() == list(range(100, 140))


def test_column_names_are_learned_checked_and_forgotten(table):
    frame = pd.DataFrame(table, columns=list("abcdef"))
    model = quick().fit(frame)
    assert model.feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[list("bacdef")])
    model.fit(np.zeros((5, 3, 4)) + np.arange(4))
    assert not hasattr(model, "feature_names_in_")
    assert (model.n_features_in_, model.shape_) == (12, (3, 4))
    model.fit(table[:, :5])
    assert not hasattr(model, "feature_names_in_")
    assert (model.n_features_in_, model.shape_) == (5, (5,))
    assert model.inverse_transform(model.transform(table[:, :5])).shape == (40, 5)
    with pytest.raises(ValueError, match="5 features"):
        model.transform(frame.to_numpy())


def test_a_pickled_model_works_on(table):
    model = quick(corruption="gaussian").fit(table)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(table), model.transform(table))
    assert again.score(table) == model.score(table)


def test_a_tied_model_stays_tied_when_copied(table):
    model = quick(network=Dense(widths=(5,), tied=True)).fit(table)
    again = pickle.loads(pickle.dumps(model))
    before = again.reconstruct(table)
    with torch.no_grad():
        again.chain_.encoder.layers[0].weight.zero_()
    codes = model.transform(table)
    assert not np.allclose(again.inverse_transform(codes), model.inverse_transform(codes))
    np.testing.assert_array_equal(model.reconstruct(table), before)


# Parameters


def test_parts_by_name_and_by_value_are_the_same(table):
    by_name = quick(
        network="dense", bottleneck="plain", likelihood="laplace", corruption="masking", penalties="l1",
        preprocessing="standardise", training=Training(epochs=2, optimiser="sgd"),
    ).fit(table)  # fmt: skip
    by_value = quick(
        network=Dense(), likelihood=Laplace(), corruption=Masking(), penalties=(L1(),), preprocessing=[Standardise()],
        training=Training(epochs=2, optimiser=SGD()),
    ).fit(table)  # fmt: skip
    np.testing.assert_array_equal(by_name.transform(table), by_value.transform(table))


def test_nested_parameters_in_any_order():
    params = {
        "training__optimiser__nesterov": True,
        "training__optimiser__momentum": 0.8,
        "training__optimiser": "sgd",
        "training__epochs": 3,
        "corruption__level": 0.2,
        "corruption": "salt-and-pepper",
        "preprocessing__standardise__per_value": False,
        "preprocessing": ("unit-scale", "standardise"),
        "penalties__l1__weight": 2,
        "penalties": "l1",
    }
    for given in (params, dict(reversed(params.items()))):
        model = Autoencoder().set_params(**given)
        assert model.training == Training(epochs=3, optimiser=SGD(momentum=0.8, nesterov=True))
        assert model.corruption == SaltAndPepper(level=0.2)
        assert model.preprocessing == (UnitScale(), Standardise(per_value=False))
        assert model.penalties == (L1(weight=2),)


def test_setting_leaves_the_parts_that_were_given_alone():
    mine, network = Training(), Dense()
    Autoencoder(training=mine, network=network).set_params(training__epochs=9, network__widths=(3,))
    assert (mine, network) == (Training(), Dense())


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"n_laten": 3}, "Unknown parameter of Autoencoder: 'n_laten'. Did you mean 'n_latent'?"),
        ({"trainin__epochs": 3}, "Unknown parameter of Autoencoder: 'trainin'. Did you mean 'training'?"),
        ({"training__epoch": 3}, "Unknown option of Training: 'epoch'. Did you mean 'epochs'?"),
        ({"training__epochs": 0}, "The 'epochs' of Training must be a whole number ≥ 1 or None. Got 0."),
        ({"network__widths": (0,)}, "The 'network' of Autoencoder is 'auto', which has no options."),
        (
            {"corruption__level": 0.1},
            "To set options, choose one of: cells, gaussian, masking, salt-and-pepper, shift.",
        ),
        ({"n_latent__x": 1}, "The 'n_latent' of Autoencoder is None, which has no options. Got 'n_latent__x'."),
        ({"penalties": "l1", "penalties__l2__weight": 1}, "'l2'"),
        ({"penalties__l1__weight": 1}, "To set options, choose one of: contractive, kl-sparsity, l1, mmd, neighbours."),
        ({"preprocessing": "unit-scale", "preprocessing__standardise__per_value": True}, "'standardise'"),
        ({"preprocessing": "unit-scale", "preprocessing__unit-scale": 1}, "'unit-scale'"),
        ({"network": "dens", "network__tied": True}, "Unknown network: 'dens'. Did you mean 'dense'?"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_is_changed(params, said):
    model = Autoencoder()
    before = repr(model)
    with pytest.raises(InvalidParameterError) as caught:
        model.set_params(random_state=3, **params)
    assert said in str(caught.value)
    assert repr(model) == before


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"n_latent": 0}, "The 'n_latent' of Autoencoder must be a whole number ≥ 1 or None. Got 0."),
        ({"n_latent": 2.5}, "The 'n_latent' of Autoencoder must be"),
        ({"network": "dens"}, "Unknown network: 'dens'. Did you mean 'dense'?"),
        (
            {"network": 3},
            "The network must be a network ('convolutional', 'dense', 'recurrent', 'strided', 'temporal', a network "
            "object, or a pair (encoder, decoder) of torch.nn.Module, or a function that returns one). Got 3.",
        ),
        ({"network": "convolutional"}, "A convolutional network needs images"),
        ({"bottleneck": "plane"}, "Unknown bottleneck: 'plane'. Did you mean 'plain'?"),
        ({"likelihood": "norm"}, "Unknown likelihood: 'norm'. Did you mean 'normal'?"),
        ({"likelihood": None}, "The likelihood must be"),
        ({"corruption": "mask"}, "Unknown corruption: 'mask'. Did you mean 'masking'?"),
        ({"penalties": ["l1", "l3"]}, "Unknown penalty: 'l3'"),
        ({"preprocessing": "standardize"}, "Unknown preprocessing: 'standardize'. Did you mean 'standardise'?"),
        ({"preprocessing": None}, "The 'preprocessing' of Autoencoder must be a sequence"),
        ({"training": "adam"}, "The 'training' of Autoencoder must be a narrows.Training or None. Got 'adam'."),
        ({"likelihood": "bernoulli"}, "The 'bernoulli' likelihood needs preprocessed values in [0, 1]."),
    ],
)
def test_parameters_that_cannot_be_are_refused_at_fit(params, said, table):
    with pytest.raises(InvalidParameterError) as caught:
        Autoencoder(**{"training": QUICK.clone(), **params}).fit(table)
    assert said in str(caught.value)


def test_every_parameter_changes_something(table, chain_only):
    def codes(**params):
        model = quick(**{"network": Dense(widths=(8,)), **params}).fit(table)
        return model.transform(table).tolist(), model.score(table)

    changes = {
        "n_latent": 3, "network": Dense(widths=(4,)), "likelihood": Normal(scale=2), "corruption": "gaussian",
        "penalties": L1(weight=1), "preprocessing": "unit-scale", "pretraining": "layer-wise",
        "training": Training(epochs=3), "random_state": 1, "fill_value": float(table[0, 0]),
    }  # fmt: skip
    usual = codes()
    assert codes() == usual
    for name, value in changes.items():
        assert codes(**{name: value}) != usual, name
    others = {
        "adversary",
        "artefacts",
        "bottleneck",
        "conditional",
        "race",
        "real_values",
        "record",
        "residual",
        "warm_start",
        "verbose",
    }  # tested on their own; what changes archives only, or what is shown
    assert {*changes, *others} == set(Autoencoder().get_params(deep=False))


# What "auto" chooses


def chosen(x, **params):
    return quick(None, **params).fit(x).chain_.parts


@pytest.mark.usefixtures("chain_only")
def test_auto_suits_bytes_and_tables(rng):
    grey = rng.integers(0, 256, (10, 8, 8), dtype=np.uint8)
    of_bytes = chosen(grey)
    assert of_bytes.preprocessing == (UnitScale(),)
    assert isinstance(of_bytes.network, Dense)
    assert of_bytes.n_latent == 16
    assert chosen(grey > 100).preprocessing == (UnitScale(),)
    assert chosen(rng.normal(size=(10, 6))).preprocessing == (MeanRemoval(), Standardise(per_value=False))
    assert chosen(rng.normal(size=(10, 6)) * 10.0 ** np.arange(6)).preprocessing == (Standardise(),)
    assert chosen(rng.normal(size=(10, 8, 8))).preprocessing == (Standardise(per_value=False),)
    assert chosen(rng.normal(size=(10, 2))).n_latent == 1


@pytest.mark.usefixtures("chain_only")
def test_auto_takes_convolutions_for_large_images(rng):
    for shape in ((80, 72, 3), (3, 80, 72)):
        parts = chosen(rng.integers(0, 256, (3, *shape), dtype=np.uint8), training=Training(epochs=1))
        assert isinstance(parts.network, Convolutional)
        assert parts.n_latent == 128
    parts = chosen(rng.normal(size=(3, 20_000)), training=Training(epochs=1))
    assert isinstance(parts.network, Dense)


@pytest.mark.parametrize(("size", "epochs"), [(40, 5), pytest.param(76, 15, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("chain_only")
def test_auto_learns_few_colour_images_better_than_their_mean(rng, size, epochs):
    # Each of one colour, brighter or darker from top to bottom: as many numbers as the code has say it all.
    colour, slope = rng.uniform(50, 200, (20, 1, 1, 3)), rng.uniform(-40, 40, (20, 1, 1, 1))
    images = (colour + slope * np.linspace(-1, 1, size)[:, None, None] + np.zeros((size, 1))).astype(np.uint8)
    model = Autoencoder(training=Training(epochs=epochs, batch_size=5), random_state=0).fit(images)
    left = np.square(model.reconstruct(images).astype(float) - images).sum()
    assert left < 0.5 * np.square(images - images.mean(0)).sum()


# What goes in comes back


DTYPES = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
]  # fmt: skip
SHAPES = [(6,), (8, 8), (5, 7), (9, 8, 3), (2, 2, 2, 2)]


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [*((dtype, (6,)) for dtype in DTYPES), *((dtype, shape) for dtype in ("uint8", "float64") for shape in SHAPES[1:])],
)
def test_records_come_back_in_shape_dtype_and_units(dtype, shape, rng):
    unit = rng.random((30, *shape))
    x = unit > 0.5 if dtype == "bool" else (unit * 90 + 20).astype(dtype)
    model = quick(3, training=Training(epochs=4, batch_size=5, optimiser=Adam(learning_rate=3e-3))).fit(x)
    codes = model.transform(x)
    assert (codes.shape, codes.dtype) == ((30, 3), np.float64 if dtype == "float64" else np.float32)
    x_hat = model.inverse_transform(codes, dtype=x.dtype)
    assert (x_hat.shape, x_hat.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(model.reconstruct(x, dtype=x.dtype), x_hat)
    unasked = model.inverse_transform(codes)
    assert unasked.dtype == (np.float64 if len(shape) == 1 and x.dtype.kind in "iub" else x.dtype)
    error = np.abs(x_hat.astype(np.float64) - x.astype(np.float64)).mean()
    centred = np.abs(x.astype(np.float64) - x.astype(np.float64).mean()).mean()
    assert error < 1.02 * centred, "no worse than the mean, in the data's own units"


def test_whole_numbers_are_rounded_and_kept_in_range():
    x = np.array([[0, 255], [255, 0]] * 10, np.uint8)
    model = quick(1, network=Dense(widths=()), training=Training(epochs=60, optimiser=Adam(learning_rate=0.05))).fit(x)
    far = model.inverse_transform(np.array([[1e4], [-1e4]], np.float32), dtype=np.uint8)
    assert set(far.flatten().tolist()) <= {0, 255}, "cut off at the ends, not wrapped around"


def test_timestamps_keep_their_seconds(rng):
    """Float64 far from zero: single precision would lose two minutes."""
    x = 1.7e9 + rng.normal(size=(100, 1)) * [1.0, 2.0, 3.0]
    settings = Training(epochs=100, optimiser=Adam(learning_rate=0.05))
    model = quick(1, network=Dense(widths=()), preprocessing="standardise", training=settings).fit(x)
    assert np.abs(model.reconstruct(x) - x).max() < 0.2
    assert narrows.evaluate(model, x)["pca_sse_per_record"] < 1e-6


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[:1],
        lambda x: x[:, :1],
        lambda x: np.full_like(x, 3.25),
        np.zeros_like,
        lambda x: x[:, ::-1],
        lambda x: x[::-1],
        np.asfortranarray,
        lambda x: x.astype(">f8"),
        np.ndarray.tolist,
        torch.from_numpy,
        lambda x: np.broadcast_to(x[0], x.shape),
        lambda x: np.broadcast_to(x[:, :4].reshape(-1, 2, 2)[0], (40, 2, 2)),
        lambda x: x[:, :4].reshape(-1, 2, 2)[::-1, :, ::-1],
        lambda x: x * 1e-200,
        lambda x: (x * 100).astype(np.int64) + 2**60,
    ],
    ids=[
        "one record", "one feature", "constant", "zero", "columns backwards", "records backwards", "Fortran order",
        "big-endian", "lists", "tensor", "broadcast table", "broadcast images", "images backwards", "tiny",
        "huge integers",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.* has only 1 training record", "ignore:.* by less than 2e-13 of the mean")
def test_unusual_data_are_fine(make, table):
    x = make(table)
    model = quick(8).fit(x)
    shape = np.asarray(x).shape
    assert model.transform(x).shape == (shape[0], 8)
    assert model.reconstruct(x).shape == shape
    assert np.isfinite(model.score(x))
    assert np.isfinite(model.reconstruct(x)).all()
    assert np.isfinite(narrows.evaluate(model, np.asarray(x))["mse"])


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_whose_squares_overflow_single_precision_are_fine(dtype, rng):
    x = rng.integers(0, 2**62, (2000, 4)).astype(dtype)
    metrics = narrows.evaluate(quick().fit(x), x)
    assert 0 < metrics["pca_sse_per_record"] < np.square(x - x.mean(axis=0)).sum(axis=1).mean()


def test_constant_data_are_restored(table):
    x = np.full((20, 3), 1234.5)
    np.testing.assert_allclose(quick(1, training=Training(epochs=50)).fit(x).reconstruct(x), x, rtol=1e-3)


def test_read_only_data_are_left_as_they_are(table, rng):
    for x in (table, rng.integers(0, 255, (20, 6, 6), dtype=np.uint8)):
        before = x.copy()
        x.flags.writeable = False
        model = quick(corruption="gaussian").fit(x)
        model.reconstruct(x)
        np.testing.assert_array_equal(x, before)
        assert not x.flags.writeable


def test_paths_names_and_sources(tmp_path, rng):
    x = rng.integers(0, 256, (20, 5, 4), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    model = quick().fit(x)
    for data in (tmp_path / "x.npy", str(tmp_path / "x.npy"), narrows.data.open(x)):
        np.testing.assert_array_equal(quick().fit(data).transform(data), model.transform(x))
    by_name = quick().fit("digits:train", validation="digits:test")
    assert by_name.trained_on_.name == "digits:train"
    assert by_name.transform("digits:test").shape == (360, 2)
    with pytest.raises(DataNotFoundError, match="nowhere"):
        quick().fit(tmp_path / "nowhere.npy")


def test_a_record_is_coded_alike_in_any_batch(table):
    model = quick().fit(table)
    together = model.transform(table)
    alone = np.concatenate([model.transform(table[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(alone, together, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(model.transform(table[::-1])[::-1], together, rtol=1e-10, atol=1e-14)


def test_encoder_and_decoder_work_on_their_own(table):
    model = quick().fit(table)
    x = model.chain_.prepare(torch.from_numpy(table.astype(np.float32)))
    with torch.no_grad():
        h = model.chain_.encoder(x)
        x_hat = model.chain_.decoder(h)
    np.testing.assert_allclose(h, model.transform(table), rtol=1e-3, atol=1e-4)
    back = model.chain_.preprocessor.inverse(x_hat.double()).numpy()
    np.testing.assert_allclose(back, model.reconstruct(table), rtol=1e-3, atol=1e-2)
    assert not model.chain_.training


def test_score_is_minus_the_mean_loss(table):
    model = quick(1, network=Dense(widths=()), preprocessing=(), likelihood=Normal(scale=0.5**0.5)).fit(table)
    squared = np.square(model.reconstruct(table) - table).sum(axis=1).mean()
    assert -model.score(table) == pytest.approx(squared + 6 * 0.5 * np.log(np.pi), rel=1e-6)
    assert model.score(table) == pytest.approx(np.mean([model.score(table[i : i + 1]) for i in range(40)]))


def test_corrupting_is_drawn_from_the_random_state(table):
    model = quick(corruption=Gaussian(scale=0.5), preprocessing="standardise").fit(table)
    noisy = model.corrupt(table, random_state=1)
    np.testing.assert_array_equal(noisy, model.corrupt(table, random_state=1))
    assert not np.array_equal(noisy, model.corrupt(table, random_state=2))
    np.testing.assert_allclose((noisy - table).std(axis=0) / table.std(axis=0), 0.5, rtol=0.5)
    with pytest.raises(InvalidParameterError, match="trained without corruption"):
        quick().fit(table).corrupt(table)


# What is refused


def test_records_of_another_shape_are_refused_and_both_shapes_named(rng):
    model = quick().fit(rng.random((10, 5, 4)))
    for wrong in (rng.random((3, 4, 5)), rng.random((3, 5, 4, 1)), "digits"):
        shape = r"\(8, 8\)" if isinstance(wrong, str) else str(wrong.shape[1:]).replace("(", r"\(").replace(")", r"\)")
        for method in (model.transform, model.reconstruct, model.score):
            with pytest.raises(ShapeMismatchError, match=rf"trained on records of shape \(5, 4\). Got {shape}"):
                method(wrong)
    with pytest.raises(ShapeMismatchError, match=r"have the shape \(n, 2\)\. Got \(1, 3\)"):
        model.inverse_transform(np.zeros((1, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_found(value, rng):
    x = rng.random((10, 5, 4))
    model = quick().fit(x)
    x[7, 3, 2] = value
    for method in (quick().fit, model.transform, model.score, model.reconstruct):
        with pytest.raises(NonFiniteDataError, match=r"1 of 200 values is NaN or infinite.*in record 7 at \[3, 2\]"):
            method(x)
    with pytest.raises(NonFiniteDataError, match=r"in record 7 at \[14\]"):
        quick().fit(x.reshape(10, 20))
    with pytest.raises(NonFiniteDataError):
        quick().fit(rng.random((10, 5, 4)), validation=x)


@pytest.mark.parametrize(
    "x", [np.zeros((0, 3, 2)), np.zeros((5, 0, 2)), np.zeros((5, 3, 2), complex), np.full((2, 3, 1), "a")]
)
def test_data_that_are_no_records_are_refused(x):
    with pytest.raises(DataError):
        quick().fit(x)


def test_more_than_64_bits_are_refused(table):
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(DataError, match=r"at most 64 bits\. Got float128\. Convert it to float64 first"):
            quick().fit(table.astype(np.longdouble))


def test_validation_data_must_have_the_shape_of_the_training_data(rng):
    with pytest.raises(ShapeMismatchError, match=r"shape \(5, 4\). Got \(4, 5\)"):
        quick().fit(rng.random((10, 5, 4)), validation=rng.random((10, 4, 5)))


def test_unfitted_models_say_so(table, tmp_path):
    for method in (quick().transform, quick().inverse_transform, quick().score, quick().reconstruct, quick().corrupt):
        with pytest.raises(ValueError, match="not fitted yet"):
            method(table)
    with pytest.raises(ValueError, match="not fitted yet"):
        quick().save(tmp_path / "model")
    with pytest.raises(ValueError, match="not fitted yet"):
        narrows.evaluate(quick(), table)


def test_a_fit_that_fails_leaves_no_model_of_other_records(table, rng):
    model = quick().fit(table)
    with pytest.raises(InvalidParameterError, match="bernoulli"):
        model.set_params(likelihood="bernoulli").fit(rng.normal(size=(10, 3)))
    with pytest.raises(ValueError, match="not fitted yet"):
        model.transform(table)


def test_unknown_names_are_unknown_names():
    with pytest.raises(UnknownNameError):
        Autoencoder().set_params(nonsense=1)


# Floors of quality, on the handwritten digits


def squared_error(x, x_hat):
    return np.square((x.astype(np.float64) - x_hat) / 255).sum(axis=tuple(range(1, x.ndim))).mean()


def pca_error(train, x, k):
    pca = PCA(k).fit(train.reshape(len(train), -1) / 255)
    flat = x.reshape(len(x), -1) / 255
    return np.square(flat - pca.inverse_transform(pca.transform(flat))).sum(axis=1).mean()


@pytest.mark.usefixtures("chain_only")
def test_a_linear_autoencoder_reaches_the_error_of_pca(digits):
    train, _ = digits
    model = Autoencoder(
        8,
        network=Dense(widths=()),
        likelihood=Normal(scale=0.5**0.5),
        preprocessing=("unit-scale", MeanRemoval()),
        training=Training(epochs=30, batch_size=64, optimiser=Adam(learning_rate=0.02)),
        random_state=0,
    ).fit(train)
    ours, theirs = narrows.evaluate(model, train)["sse_per_record"], pca_error(train, train, 8)
    assert theirs * 0.999 <= ours <= theirs * 1.02


@pytest.mark.usefixtures("chain_only")
def test_a_deep_autoencoder_beats_pca_on_digits_it_has_not_seen(digits):
    train, test = digits
    model = Autoencoder(8, training=Training(epochs=12), random_state=0).fit(train)
    assert narrows.evaluate(model, test)["sse_per_record"] < 0.8 * pca_error(train, test, 8)


@pytest.mark.usefixtures("chain_only")
def test_a_denoising_autoencoder_restores_more_than_the_noise_took(digits):
    train, test = digits
    model = Autoencoder(
        16, corruption=Gaussian(scale=0.3, clip=True), training=Training(epochs=12), random_state=0
    ).fit(train)
    noisy = model.corrupt(test, random_state=0)
    assert squared_error(test, model.reconstruct(noisy)) < 0.6 * squared_error(test, noisy)


def test_a_fit_that_refuses_its_records_keeps_the_model(table):
    model = quick().fit(pd.DataFrame(table, columns=list("abcdef")))
    codes = model.transform(pd.DataFrame(table, columns=list("abcdef")))
    lists = pd.DataFrame({"z": [[1], [2]]})
    for refused in ("no-such-file.npy", table[:0], table * np.nan, lists, table.astype(complex)):
        with pytest.raises((ValueError, OSError)):
            model.fit(refused)
        assert (model.shape_, model.n_features_in_) == ((6,), 6)
        np.testing.assert_array_equal(model.transform(pd.DataFrame(table, columns=list("abcdef"))), codes)
