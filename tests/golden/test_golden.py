"""Archives and models of every version of the format restore to what they restored to when they were made."""

import functools
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.archive import inspect, verify
from narrows.codec import kernels, read_frozen

pytestmark = pytest.mark.usefixtures("loops")

HERE = Path(__file__).parent
VERSIONS = sorted(folder for folder in HERE.glob("v*") if (folder / "hashes.json").is_file())
BACKENDS = ["float64", "int64"]


def _make():
    spec = importlib.util.spec_from_file_location("narrows_golden_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _make()


def described(folder):
    return json.loads((folder / "hashes.json").read_text())


@functools.cache
def whole_of(folder, archive):
    """Return all that an archive holds, as the loops restored it that were asked first."""
    facts = described(folder)["archives"][archive]
    whole = narrows.restore(folder / archive, model=codec_of(folder, archive, facts["model"]))
    assert make.sha256(whole) == facts["restored"]
    return whole


@functools.cache
def is_intact(folder, archive):
    """Return what is said of an archive, of which all is restored once more for it, by the loops that come first."""
    return verify(
        folder / archive, model=codec_of(folder, archive, described(folder)["archives"][archive]["model"])
    ).is_intact


def codec_of(folder, archive, model, backend="float64"):
    """Return what restores an archive: the codec in a model file, or the one that it carries.

    For other loops and another backend it is read, and its golden vectors are checked, once more.
    """
    return _read(folder, None if model else archive, model, backend, kernels.compiled)


@functools.cache
def _read(folder, archive, model, backend, _loops):
    if model is None:
        with narrows.open_archive(folder / archive) as opened:
            codec = opened._codec
    else:
        codec = read_frozen(folder / model)
    codec._backend = backend
    return codec


ARCHIVES = [
    pytest.param(folder, archive, facts, id=f"{folder.name}-{archive.removesuffix('.narrows')}")
    for folder in VERSIONS
    for archive, facts in described(folder)["archives"].items()
]
MODELS = [
    pytest.param(folder, model, facts, id=f"{folder.name}-{model.removesuffix('.safetensors')}")
    for folder in VERSIONS
    for model, facts in described(folder)["models"].items()
]


def test_there_are_golden_archives_of_every_kind_of_rest():
    for folder in VERSIONS:
        kept = {archive: facts for archive, facts in described(folder)["archives"].items() if "kinds" in facts}
        for archive, facts in kept.items():
            model = None if facts["model"] is None else folder / facts["model"]
            assert make.kinds_of(folder / archive, model) == facts["kinds"]
        assert {"LINEAR", "EXACT", "ZSTD", "PLAIN", "CAUSAL"} <= {
            kind for facts in kept.values() for kind in facts["kinds"]
        }


def test_there_are_golden_files():
    assert VERSIONS
    for folder in VERSIONS:
        facts = described(folder)
        files = {file.name for file in folder.iterdir()}
        assert files == {"hashes.json", *facts["archives"], *facts["models"]}
        assert sum(file.stat().st_size for file in folder.iterdir()) < make.MOST_BYTES


@pytest.mark.parametrize(("folder", "archive", "facts"), ARCHIVES)
def test_archives_restore_to_what_they_did(folder, archive, facts, loops):
    # What the backend computes does not depend on the loops; below, every quality is restored by each with each.
    for backend in BACKENDS if loops == "compiled" else BACKENDS[:1]:
        restored = narrows.restore(folder / archive, model=codec_of(folder, archive, facts["model"], backend))
        assert list(restored.shape) == facts["shape"]
        assert make.sha256(restored) == facts["restored"], backend
    assert is_intact(folder, archive)
    assert inspect(folder / archive).has_model == (facts["model"] is None)


@pytest.mark.parametrize(("folder", "model", "facts"), MODELS)
def test_models_are_read(folder, model, facts):
    codec, loaded = read_frozen(folder / model), narrows.load(folder / model)
    assert codec.digest == loaded.codec_.digest == facts["digest"]
    records = codec.decode(make.probes(codec.n_symbols), codec.default)
    symbols = loaded.quantise(records, codec.default)
    assert loaded.codec_.decode(symbols, codec.default).shape == records.shape


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("folder", "model", "facts"), MODELS)
def test_every_quality_restores_what_it_did(folder, model, facts, backend):
    codec = read_frozen(folder / model)
    symbols = make.probes(codec.n_symbols)
    restored = [codec.decode(symbols, quality, backend=backend) for quality in range(len(codec.qualities))]
    assert [make.sha256(records) for records in restored] == facts["restored"]


def test_a_model_still_names_the_quality_that_an_archive_carries():
    """The archive's name for it is a hash of bytes that are made anew from the model, by which appending knows it."""
    for folder in VERSIONS:
        for model in described(folder)["models"]:
            codec = read_frozen(folder / model)
            carried = inspect(folder / f"{model.removesuffix('.safetensors')}-embedded.narrows").metadata["model"]
            assert carried in {codec.only(quality).digest for quality in range(len(codec.qualities))}


def test_single_records_come_out_of_golden_archives(loops):
    for folder in VERSIONS:
        archives = list(described(folder)["archives"].items())
        # A record takes NumPy about as long as all of them, which come out one way or the other above.
        for archive, facts in archives if loops == "compiled" else archives[::3]:
            codec = codec_of(folder, archive, facts["model"])
            whole = whole_of(folder, archive)
            with narrows.open_archive(folder / archive, model=codec) as opened:
                for item in (0, len(whole) // 2, len(whole) - 1) if loops == "compiled" else (len(whole) - 1,):
                    np.testing.assert_array_equal(opened[item], whole[item])


def test_nothing_is_made_without_the_flag(monkeypatch):
    monkeypatch.setattr(make, "make", lambda: pytest.fail("it was made"))
    monkeypatch.setattr("sys.argv", ["make.py"])
    with pytest.raises(SystemExit, match="Then say --overwrite"):
        make.main()
