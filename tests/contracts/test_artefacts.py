"""What holds of every artefact: what it stores is what it reads back, alone and in a model file."""

import json

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.io.model_file import read_model_file
from narrows.model.artefacts import Artefact
from narrows.model.inspection import inspect
from narrows.networks import Dense


@pytest.fixture(scope="module")
def model(digits):
    model = Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=1), random_state=0)
    return model.fit(digits[0][:60]).measure().model_


@pytest.fixture(scope="module", params=[name for name in Artefact.registry if name != "columns"])  # tests/tables
def artefact(request, model):
    return model.artefacts[request.param]


def assert_same(one, other):
    assert type(one) is type(other)
    mine, its = one.to_tensors(), other.to_tensors()
    assert mine.keys() == its.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, its[name])
        assert array.dtype == its[name].dtype
    assert one.to_json() == other.to_json()


def test_from_file_inverts_to_tensors_and_to_json(artefact, model):
    header = json.loads(json.dumps(artefact.to_json(), allow_nan=False))
    assert_same(type(artefact).from_file(artefact.to_tensors(), header, model), artefact)


def test_a_file_without_the_artefact_has_none(artefact, model):
    found = type(artefact).from_file({}, {}, model)
    assert found is None or not found.to_tensors(), "the archive codec stores the reason why it is missing"


def test_names_of_entries_are_those_of_no_other_artefact(artefact, model):
    for other in model.artefacts.values():
        if other is not artefact:
            assert artefact.to_tensors().keys().isdisjoint(other.to_tensors())
            assert artefact.to_json().keys().isdisjoint(other.to_json())


def test_a_model_file_keeps_the_artefact_and_lists_it(artefact, digits, tmp_path):
    training = Training(epochs=1)
    fitted = Autoencoder(3, network=Dense(widths=(8,)), training=training, random_state=0).fit(digits[0][:60])
    fitted.save(tmp_path / "model")
    assert_same(narrows.load(tmp_path / "model").model_.artefacts[artefact.name], artefact)
    assert artefact.name in inspect(tmp_path / "model").to_json()["artefacts"]
    assert artefact.to_tensors().keys() <= read_model_file(tmp_path / "model")[1].keys()
