"""The independent decoder of texts, written from docs/format.md alone, decodes what narrows encodes."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from narrows.codec import kernels
from narrows.codec.text.chunk import encode_texts
from narrows.records.symbols import symbols_of

LINES = [
    b"Jun 14 15:16:01 combo sshd[19939]: authentication failure; uid=0 rhost=218.188.2.4",
    b"Jun 14 15:16:02 combo sshd[19937]: authentication failure; uid=0 rhost=218.188.2.4",
    b"",
    b"a\nb, \tkey: 12=\xc3\xa9\x00\xff\r",
    b"Jun 15 02:04:59 combo sshd[20882]: authentication failure; uid=0 rhost=220-135-151-1",
]


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


decoder = load("bytes_decoder")


def records(texts, length):
    found = np.zeros((len(texts), length), np.uint16)
    for record, text in zip(found, texts, strict=True):
        record[: len(text)] = symbols_of(np.frombuffer(text, np.uint8))
    return found


@pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("texts", [LINES, [b""], [b"ab" * 45]])
def test_texts_are_decoded_as_the_page_says(texts):
    data = encode_texts(records(texts, 100))
    assert decoder.texts(data, len(texts), 100) == texts
    with pytest.raises(ValueError, match="number of bytes"):
        decoder.texts(data[:1] + (sum(map(len, texts)) + 1).to_bytes(4, "little") + data[5:], len(texts), 100)


@pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")
def test_few_buckets_whose_hashes_collide(monkeypatch):
    monkeypatch.setattr("narrows.codec.text.frozen._LEAST_BITS", 1)
    monkeypatch.setattr("narrows.codec.text.chunk._MOST_BITS", 5)
    data = encode_texts(records(LINES, 100))
    assert data[0] == 5
    assert decoder.texts(data, len(LINES), 100) == LINES
