"""The right model opens an archive in whatever way the archive was written and the model is given."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.archive import open_archive, recover, verify
from narrows.codec import read_frozen
from narrows.errors import InvalidParameterError, WrongModelError
from narrows.lossless import CausalNetwork
from narrows.networks import Dense

BOUNDS = {"code": {}, "max_error": {"max_error": 3}, "lossless": {"lossless": True}}
GIVEN = ("fitted", "loaded", "path", "frozen")


@dataclass
class Written:
    """A model of digits with a network of residuals, in every form, and records to compress."""

    forms: dict
    records: np.ndarray

    def __getitem__(self, form):
        return self.forms[form]


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    train, test = digits
    fitted = narrows.Autoencoder(
        8,
        network=Dense(widths=(4,)),
        training=narrows.Training(epochs=3, batch_size=32),
        residual=CausalNetwork(n_hidden=4, n_components=2, reach=1, epochs=1),
        random_state=0,
    ).fit(train[:300])
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    fitted.save(path)
    return Written(
        {"fitted": fitted, "loaded": narrows.load(path), "path": path, "frozen": read_frozen(path)}, test[:40]
    )


@pytest.fixture(scope="module", params=[True, False], ids=["embedded", "bare"])
def embed(request):
    return request.param


@pytest.fixture(scope="module", params=BOUNDS)
def archive(request, model, embed, tmp_path_factory):
    """Return an archive of 60 records, 20 of which were appended, and how exactly they are kept."""
    path, how = tmp_path_factory.mktemp("archive") / "a.narrows", BOUNDS[request.param]
    narrows.compress(model.records, path, model=model["fitted"], embed_model=embed, **how)
    narrows.compress(model.records[:20], path, model=model["path"], append=True)
    return path, how


def test_the_model_has_several_qualities(model):
    assert len(model["frozen"].qualities) > 1  # so that what an archive carries is never the whole model


@pytest.mark.pairs
@pytest.mark.parametrize("form", GIVEN)
def test_the_right_model_opens_every_archive(model, embed, archive, form):
    path, how = archive
    right = model[form]
    restored = narrows.restore(path, model=right)
    expected = np.concatenate([model.records, model.records[:20]])
    if how:
        error = np.abs(restored.astype(int) - expected)
        assert error.max() <= (0 if "lossless" in how else how["max_error"])
    with narrows.open_archive(path, model=right) as opened:
        np.testing.assert_array_equal(opened[50], restored[50])
    report = verify(path, model=right)
    assert report.is_intact
    assert report.is_restored
    if embed:
        np.testing.assert_array_equal(restored, narrows.restore(path))
        with narrows.open_archive(path) as opened:
            np.testing.assert_array_equal(restored, narrows.restore(path, model=opened._codec))


def test_what_is_recovered_opens_with_the_right_model(model, archive, tmp_path):
    path, _ = archive
    saved = recover(path, tmp_path / "saved.narrows", model=model["fitted"])
    np.testing.assert_array_equal(
        narrows.restore(Path(saved.path), model=model["path"]), narrows.restore(path, model=model["fitted"])
    )


def test_a_model_with_another_network_of_residuals_is_refused(model, digits, tmp_path):
    path = tmp_path / "a.narrows"
    narrows.compress(model.records, path, model=model["fitted"], lossless=True, embed_model=True)
    other = narrows.Autoencoder(
        8,
        network=Dense(widths=(4,)),
        training=narrows.Training(epochs=3, batch_size=32),
        residual=CausalNetwork(n_hidden=4, n_components=2, reach=1, epochs=2),
        random_state=0,
    ).fit(digits[0][:300])
    with pytest.raises(WrongModelError, match="contains its model"):
        narrows.restore(path, model=other)


def test_a_model_that_is_not_fitted_is_said_to_be_so(make, records):
    with pytest.raises(InvalidParameterError, match=r"Got Autoencoder, which is not fitted\."):
        open_archive(make(records[:10]), model=narrows.Autoencoder())
