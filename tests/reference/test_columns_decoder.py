"""The independent decoder of columns, written from docs/format.md alone, decodes what narrows encodes."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from narrows.codec import kernels
from narrows.codec.columns.contract import Ids, Numbers, Texts
from narrows.codec.columns.model import ColumnsModel
from narrows.codec.columns.plan import Lookup


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


load("bytes_decoder")
decoder = load("columns_decoder")


def columns(n):
    rng = np.random.default_rng(3)
    start, delay = np.sort(rng.integers(0, 1440, n)), rng.geometric(0.2, n) - 5
    end, missing, kind = (start + delay) % 1440, rng.random(n) < 0.1, rng.integers(0, 5, n)
    return [
        Numbers(start // 60 * 100 + start % 60),
        Numbers(end // 60 * 100 + end % 60, missing),
        Numbers(delay * 1000 - 7),
        Ids(kind, None, 5),
        Texts([b"word %d" % k if k else b"new %d" % (i // 9) for i, k in enumerate(kind)], missing),
        Numbers(rng.integers(-(1 << 60), 1 << 60, n)),
        Numbers(kind * 11 + rng.integers(0, 2, n)),
    ]


def cut(column, n):
    missing = None if column.missing is None else column.missing[:n]
    return Ids(column.values[:n], missing, 5) if isinstance(column, Ids) else type(column)(column.values[:n], missing)


def lists(given):
    found = []
    for one in given:
        missing = [False] * len(one.values) if one.missing is None else one.missing.tolist()
        found.append([None if no else a for no, a in zip(missing, list(one.values), strict=True)])
    return found


@pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")
def test_a_group_is_decoded_as_the_page_says():
    table = columns(300)
    model = ColumnsModel.of(table, group=300)
    lookup = Lookup(0, np.arange(0, 300, 2), np.arange(150) % 4)
    plans = [*model.plans[:-1], replace(model.plans[-1], lookup=lookup)]
    model = ColumnsModel(model.schemas, model.texts, model.order, plans, model.bits)
    group = [cut(one, 40) for one in table]
    group[1] = Numbers(np.where(np.arange(40) == 7, 1234567, group[1].values))
    group[2] = Numbers(group[2].values + (np.arange(40) == 9), np.arange(40) == 3)
    read = decoder.Model(model.to_bytes())
    assert read.group(model.encode(group), 40) == lists(group)


@pytest.mark.parametrize("limit", [0, 9])
def test_long_texts_are_decoded_as_the_page_says(limit):
    table = [Texts([b"x" * (i % 13) + b"%d" % i for i in range(40)]), Numbers(np.arange(40))]
    model = ColumnsModel.of(table, group=40)
    model.texts[0].limit = limit
    coded = model.encode(table)
    assert ColumnsModel.from_bytes(model.to_bytes()).decode(coded, 40)[0].values == table[0].values
    assert decoder.Model(model.to_bytes()).group(coded, 40) == lists(table)
