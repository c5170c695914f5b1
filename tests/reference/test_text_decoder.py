"""The independent decoder of texts, written from docs/format.md alone, restores what narrows restores."""

import pytest
import text_decoder as decoder

import narrows
from narrows.data.text.texts import encoded
from narrows.likelihoods import Categorical
from narrows.networks import Dense

TEXTS = ["emma", "ava", "", "zoë", "longer than a record", "a\0b", b"\xff\t\r", "(~)"]


@pytest.fixture(scope="module")
def model():
    network = Dense(widths=(8,), embedding=4)
    settings = {"training__epochs": 2, "random_state": 0, "likelihood": Categorical(n_categories=257)}
    return narrows.recipe("text", n_latent=3, network=network, **settings).fit(["emma", "olivia", "ava"] * 8)


@pytest.mark.parametrize("how", [{}, {"lossless": True}])
@pytest.mark.parametrize("texts", [TEXTS, ["emma", "mia"]])
def test_texts(how, texts, model, tmp_path):
    narrows.compress(texts, tmp_path / "t", model=model, **how)
    found = decoder.read(tmp_path / "t", model.codec_.blob)
    assert found == [encoded(text) for text in narrows.restore(tmp_path / "t", model=model)]
    if how:
        assert found == [encoded(text) for text in texts]


def test_every_byte_has_its_symbol():
    from narrows.records.symbols import _BYTES

    assert decoder.byte_order() == _BYTES.tolist()


def test_texts_without_a_model(tmp_path):
    narrows.compress(TEXTS, tmp_path / "t")
    assert decoder.read(tmp_path / "t") == [encoded(text) for text in TEXTS]


@pytest.mark.parametrize("group", [1, pytest.param(16, marks=pytest.mark.slow)])
def test_texts_with_a_model_of_bytes(group, tmp_path):
    lines = [f"n{k % 5}:{k % 7}" for k in range(36)]
    model = narrows.ByteModel().fit(lines)  # the second block of 32 is learned from alone
    texts = [*lines[:12], "zoë", "", "a\0\n\xff"]
    narrows.compress(texts, tmp_path / "t", model=model, chunk_records=group, embed_model=True)
    assert decoder.read(tmp_path / "t") == [encoded(text) for text in texts]
