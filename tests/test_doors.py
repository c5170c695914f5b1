"""Every function that takes data for a model takes the same data, and refuses the same."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import narrows
from narrows import Autoencoder
from narrows.archive import open_archive
from narrows.archive.compress import compress
from narrows.errors import DataError
from narrows.evaluation.denoising import add_noise
from narrows.evaluation.drawing import draw_map
from narrows.training import Training

NAMES = ["height", "width", "is_new", "rooms"]


def frame_of(library, n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return library.DataFrame(
        {"height": x[:, 0] * 10, "width": x[:, 1], "is_new": x[:, 0] > 0, "rooms": (x[:, 1] * 4).astype(int)}
    )


@pytest.fixture(scope="module")
def models():
    training = Training(epochs=2)
    return {library: Autoencoder(2, training=training, random_state=0).fit(frame_of(library)) for library in (pd, pl)}


@pytest.fixture(scope="module")
def bare():
    """Return a model of the numbers of the frames, which both libraries hold alike."""
    numbers = np.stack([np.asarray(frame_of(pd)[name], float) for name in NAMES], axis=1)
    return Autoencoder(2, training=Training(epochs=2), random_state=0).fit(numbers)


def compressed(model, data, tmp_path):
    compress(data, tmp_path / "x.narrows", model=model, lossless=True, force=True)
    with open_archive(tmp_path / "x.narrows", model=model) as archive:
        return archive[:]


DOORS = {
    "transform": lambda model, data, tmp_path: model.transform(data),
    "reconstruct": lambda model, data, tmp_path: model.reconstruct(data),
    "denoise": lambda model, data, tmp_path: model.denoise(data),
    "score": lambda model, data, tmp_path: model.score(data),
    "measure": lambda model, data, tmp_path: model.measure(data).score(data),
    "evaluate": lambda model, data, tmp_path: narrows.evaluate(model, data)["mse"],
    "quantise": lambda model, data, tmp_path: model.quantise(data),
    "add_noise": lambda model, data, tmp_path: add_noise(model, data, 0.1, 0),
    "draw_map": lambda model, data, tmp_path: draw_map(model, data).axes[0].collections[0].get_offsets().data,
    "compress": compressed,
}
every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
both = pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])


@every_door
@both
def test_a_frame_gives_what_its_numbers_give(models, bare, door, library, tmp_path):
    frame = frame_of(library, seed=1)
    array = np.stack([np.asarray(frame[name], float) for name in NAMES], axis=1)
    np.testing.assert_array_equal(door(models[library], frame, tmp_path), door(bare, array, tmp_path))


@every_door
@both
def test_columns_in_another_order_are_refused(models, door, library, tmp_path):
    with pytest.raises(DataError, match=r"same order[\s\S]*model\.feature_names_in_"):
        door(models[library], frame_of(library)[NAMES[::-1]], tmp_path)


@every_door
@both
def test_other_columns_are_refused_by_name(models, door, library, tmp_path):
    frame = frame_of(library)
    frame = frame.rename(columns={"width": "depth"}) if library is pd else frame.rename({"width": "depth"})
    with pytest.raises(DataError, match=r"depth[\s\S]*missing:\n- width"):
        door(models[library], frame, tmp_path)


@every_door
def test_a_source_of_a_frame_is_checked_as_the_frame(models, door, tmp_path):
    source = narrows.data.open(frame_of(pd)[NAMES[::-1]])
    with pytest.raises(DataError, match="same order"):
        door(models[pd], source, tmp_path)


@every_door
def test_nullable_and_object_columns_are_taken(models, door, tmp_path):
    frame = frame_of(pd, seed=1)
    nullable = frame.convert_dtypes()
    np.testing.assert_array_equal(door(models[pd], nullable, tmp_path), door(models[pd], frame, tmp_path))
    np.testing.assert_array_equal(door(models[pd], frame.astype(object), tmp_path), door(models[pd], frame, tmp_path))


@pytest.fixture(scope="module")
def of_repeated_columns():
    """Return numbers, a frame of them in which two columns have the same name, and a model of each."""
    x = np.random.default_rng(0).normal(size=(60, 4))
    frame = pd.DataFrame(x, columns=["a", "a", "b", "c"])
    return x, frame, *(Autoencoder(2, training=Training(epochs=2), random_state=0).fit(data) for data in (x, frame))


@every_door
def test_repeated_columns_are_taken(of_repeated_columns, door, tmp_path):
    x, frame, bare, model = of_repeated_columns
    assert list(model.feature_names_in_) == ["a", "a", "b", "c"]
    np.testing.assert_array_equal(door(model, frame, tmp_path), door(bare, x, tmp_path))
    with pytest.raises(DataError, match=r"same order as they were in fit\.$"):
        door(model, frame.iloc[:, ::-1], tmp_path)


@every_door
def test_masks_and_units_are_refused(models, door, tmp_path):
    masked = np.ma.masked_less(np.asarray(frame_of(pd), float), 0)
    with pytest.raises(DataError, match=r"filled\(numpy\.nan\)"):
        door(models[pd], masked, tmp_path)


def test_dummies_of_categories_are_taken_everywhere(tmp_path):
    colours = pd.DataFrame({"size": np.linspace(0, 1, 60), "colour": ["red", "green", "blue"] * 20})
    frame = pd.get_dummies(colours)
    model = Autoencoder(2, training=Training(epochs=2), random_state=0).fit(frame)
    for door in DOORS.values():
        door(model, frame, tmp_path)
    np.testing.assert_array_equal(compressed(model, frame, tmp_path), frame.to_numpy(float))


def test_a_frame_of_bytes_is_trained_as_the_same_frame_of_integers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 9, 60), "b": rng.integers(0, 250, 60), "c": rng.integers(0, 3, 60)})
    scores = [
        Autoencoder(2, training=Training(epochs=3), random_state=0).fit(one).score(one)
        for one in (frame, frame.astype("uint8"))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)
