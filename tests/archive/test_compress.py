"""Records into archives and back: whatever they are, at the quality asked for, and counted honestly."""

import json
import math
import types
from pathlib import Path

import numpy as np
import pandas
import pytest
import zstandard
from PIL import Image
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits
from torch import nn

import narrows
from narrows.archive import inspect, verify
from narrows.archive.layouts import Tiling
from narrows.archive.summary import Summary
from narrows.archive.tally import ErrorTally
from narrows.codec.freezing.translation import TRANSLATIONS
from narrows.codec.parts.needs import Needs
from narrows.codec.parts.parted_codec import PartedCodec
from narrows.data.image_writer import write_images
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataError,
    DataNotFoundError,
    InvalidParameterError,
    NotFreezableError,
    OutputExistsError,
    ShapeMismatchError,
    WrongModelError,
)
from narrows.networks import Dense, Strided

pytestmark = pytest.mark.usefixtures("codec_only")

MODELS = ("codec_model", "map_model", "ladder_model", "table_model")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.narrows"


@pytest.fixture(scope="session")
def data(digits, large_digits, table):
    """Return test records for each model."""
    small, large = digits[1][:200], large_digits[1][:80]
    return {"codec_model": small, "map_model": large, "ladder_model": small, "table_model": table}


@pytest.fixture(scope="session")
def photos(digits):
    """Return 7 images of 20×27 made of digits."""
    rows = digits[1][: 7 * 12].reshape(7, 3, 4, 8, 8).swapaxes(2, 3).reshape(7, 24, 32)
    return np.ascontiguousarray(rows[:, :20, :27])


def decoded(model, records, quality):
    return model.codec_.decode(model.quantise(records, quality), quality)


# There and back


@pytest.mark.parametrize(
    ("name", "embed"),
    [
        *((name, False) for name in MODELS),
        ("codec_model", True),
        *(pytest.param(name, True, marks=pytest.mark.slow) for name in MODELS[1:]),
    ],
)
def test_what_comes_back_is_what_the_codec_decodes(request, data, path, name, embed):
    model, records = request.getfixturevalue(name), data[name]
    summary = narrows.compress(records, path, model=model, embed_model=embed)
    restored = narrows.restore(path, model=None if embed else model)
    usual = model.codec_.default
    assert (restored.dtype, restored.shape) == (records.dtype, records.shape)
    np.testing.assert_array_equal(restored, decoded(model, records, usual))
    assert summary.expected_psnr_db == pytest.approx(model.codec_.qualities[usual].psnr_db, abs=1e-9)
    assert verify(path, model=None if embed else model).is_intact
    assert inspect(path).has_model == embed


@pytest.mark.parametrize("dtype", ["bool", "int16", "float64", "float16", "uint16", "int64"])
def test_records_of_any_dtype(table, path, dtype):
    scaled = table > 0 if dtype == "bool" else (np.abs(100 * table) if dtype == "uint16" else 100 * table).astype(dtype)
    model = narrows.Autoencoder(3, network=Dense(widths=(8,)), training=narrows.Training(epochs=2), random_state=0)
    model.fit(scaled)
    summary = narrows.compress(scaled, path, model=model, embed_model=True)
    restored = narrows.restore(path)
    assert restored.dtype == scaled.dtype
    np.testing.assert_array_equal(restored, decoded(model, scaled, model.codec_.default))
    error = restored.astype(np.float64) - scaled.astype(np.float64)
    assert summary.max_error == np.abs(error).max()
    peak = float(scaled.max()) - float(scaled.min())
    assert summary.psnr_db == pytest.approx(10 * math.log10(peak**2 / np.square(error).mean()))


def test_a_loaded_model_makes_the_same_bytes(codec_model, digits, tmp_path):
    codec_model.save(tmp_path / "model")
    given = {"fitted": codec_model, "loaded": narrows.load(tmp_path / "model"), "path": tmp_path / "model"}
    for name, model in given.items():
        narrows.compress(digits[1], tmp_path / name, model=model)
    assert len({(tmp_path / name).read_bytes() for name in given}) == 1
    for model in (*given.values(), str(tmp_path / "model"), codec_model.codec_):
        np.testing.assert_array_equal(
            narrows.restore(tmp_path / "path", model=model), decoded(codec_model, digits[1], codec_model.codec_.default)
        )


def test_threads_change_nothing_in_what_comes_back(map_model, large_digits, path):
    with threadpool_limits(2):
        narrows.compress(large_digits[1], path, model=map_model)
        two = narrows.restore(path, model=map_model)
    with threadpool_limits(1):
        np.testing.assert_array_equal(narrows.restore(path, model=map_model), two)


def test_a_data_frame_is_a_table(table, path):
    frame = pandas.DataFrame(table, columns=list("abcdef"))
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=narrows.Training(epochs=1)).fit(frame)
    narrows.compress(frame, path, model=model)
    assert narrows.restore(path, model=model).shape == table.shape


def test_progress_is_told_how_far_it_is(codec_model, digits, path, monkeypatch):
    monkeypatch.setattr("narrows.archive.batches._BATCH_RECORDS", 100)
    told = []
    narrows.compress(digits[1], path, model=codec_model, progress=lambda *done: told.append(done))
    assert told == [("compressing", done, 360, "records") for done in (100, 200, 300, 360)]


# Which quality


def test_more_decibels_take_more_bytes(ladder_model, digits, tmp_path):
    qualities = ladder_model.codec_.qualities
    sizes = []
    for position, quality in enumerate(qualities):
        path = tmp_path / f"{position}.narrows"
        summary = narrows.compress(digits[1], path, model=ladder_model, quality=position)
        assert inspect(path).metadata["quality"] == position
        np.testing.assert_array_equal(
            narrows.restore(path, model=ladder_model), decoded(ladder_model, digits[1], position)
        )
        assert (summary.expected_psnr_db, summary.expected_bytes_per_record) == (
            quality.psnr_db,
            quality.bytes_per_record,
        )
        sizes.append(summary.n_bytes)
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0] + 500


def test_neither_is_the_usual_quality(ladder_model, digits, path):
    narrows.compress(digits[1], path, model=ladder_model)
    assert inspect(path).metadata["quality"] == ladder_model.codec_.default


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"bytes_per_record": 1e-9}, "'bytes_per_record' of this model must be at least .* Got 1e-09"),
        ({"psnr": 14, "bytes_per_record": 3}, "'psnr' or 'bytes_per_record', not both"),
        *(({"psnr": bad}, "'psnr' of compress must be a number > 0. Got") for bad in (0, -3, math.nan, math.inf, "x")),
        ({"bytes_per_record": [1]}, "'bytes_per_record' of compress must be a number > 0. Got"),
        ({"overlap": 2}, "'overlap' has no effect: the records have the shape of the model's .* Got 2"),
        ({"append": True, "force": True}, "'append' or 'force', not both"),
    ],
    ids=str,
)
def test_what_cannot_be_asked(ladder_model, digits, path, asked, message):
    with pytest.raises(InvalidParameterError, match=message):
        narrows.compress(digits[1], path, model=ladder_model, **asked)
    assert not list(path.parent.iterdir())


# What goes wrong, and then leaves nothing behind


def test_records_of_another_shape_or_type(ladder_model, table_model, digits, table, path):
    for model, records, message in (
        (ladder_model, digits[1][:, :7], r"records of shape \(8, 8\). Got \(7, 8\)"),
        (ladder_model, digits[1].astype(np.float32), "uint8 records. .* has dtype float32. Convert it to uint8"),
        (table_model, digits[1], r"of shape \(6,\)\. .* dtype uint8, and records of shape \(8, 8\)\.$"),
        (table_model, table[:, :5], r"records of shape \(6,\). Got \(5,\)"),
        (table_model, np.tile(table, 2), r"records of shape \(6,\). Got \(12,\)"),
    ):
        with pytest.raises(ShapeMismatchError, match=message):
            narrows.compress(records, path, model=model)
    with pytest.raises(DataError, match="NaN"):
        narrows.compress(np.full_like(table, np.nan), path, model=table_model)
    with pytest.raises(DataError):
        narrows.compress(digits[1][:0], path, model=ladder_model)
    assert not list(path.parent.iterdir())


def test_models_that_are_none(digits, path):
    for model, error, message in (
        (path.parent / "none", DataNotFoundError, "The model file .* does not exist"),
        (3, InvalidParameterError, "'model' must be a fitted Autoencoder or the path of a model file. Got int"),
        (narrows.Autoencoder(), NotFittedError, "not fitted"),
    ):
        with pytest.raises(error, match=message):
            narrows.compress(digits[1], path, model=model)
    assert not path.exists()


def test_a_decoder_that_cannot_be_frozen_is_refused_with_the_reason(digits, path, monkeypatch):
    monkeypatch.delitem(TRANSLATIONS, nn.SiLU)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,), activation="silu"), training=narrows.Training(epochs=1))
    model.fit(digits[0][:50])
    model.save(path.parent / "model")
    for given in (model, path.parent / "model"):
        with pytest.raises(NotFreezableError, match="there are no integer operations for its SiLU"):
            narrows.compress(digits[1], path, model=given)
    assert not path.exists()


def test_nothing_is_overwritten_unasked(ladder_model, digits, path):
    narrows.compress(digits[1][:5], path, model=ladder_model)
    kept = path.read_bytes()
    with pytest.raises(OutputExistsError):
        narrows.compress(digits[1], path, model=ladder_model)
    assert path.read_bytes() == kept
    narrows.compress(digits[1], path, model=ladder_model, force=True)
    assert inspect(path).n_records == 360


def test_an_encoder_that_fails_leaves_the_archive_as_it_was(ladder_model, digits, path, monkeypatch):
    narrows.compress(digits[1][:5], path, model=ladder_model)
    kept = path.read_bytes()

    def stop(*done):
        raise KeyboardInterrupt

    for how in ({"append": True}, {"force": True}):
        with pytest.raises(KeyboardInterrupt):
            narrows.compress(digits[1], path, model=ladder_model, progress=stop, **how)
        assert path.read_bytes() == kept
    assert [file.name for file in path.parent.iterdir()] == [path.name]


# Appending


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("quality", [1, None])
def test_appending_keeps_the_quality(ladder_model, digits, path, embed, quality):
    asked = {} if quality is None else {"quality": quality}
    position = ladder_model.codec_.default if quality is None else quality
    narrows.compress(digits[1][:100], path, model=ladder_model, embed_model=embed, **asked)
    model = None if embed else ladder_model
    for start, again in ((100, {}), (200, asked), (300, {"embed_model": embed})):
        summary = narrows.compress(digits[1][start : start + 100], path, model=ladder_model, append=True, **again)
        stop = min(start + 100, 360)
        assert (summary.records, summary.total_records) == (stop - start, stop)
        assert summary.n_bytes == path.stat().st_size
        assert summary.model_embedded == embed
        assert summary.raw_bytes == stop * 64
    np.testing.assert_array_equal(narrows.restore(path, model=model), decoded(ladder_model, digits[1], position))


@pytest.mark.parametrize("embed", [False, True])
def test_appending_in_another_quality_is_refused(ladder_model, digits, path, embed):
    narrows.compress(digits[1][:10], path, model=ladder_model, embed_model=embed)
    kept = path.read_bytes()
    finest = ladder_model.codec_.qualities[0]
    with pytest.raises(ArchiveError, match=rf"has quality {ladder_model.codec_.default}. .* in quality 0"):
        narrows.compress(
            digits[1], path, model=ladder_model, append=True, bytes_per_record=finest.bytes_per_record + 1e-9
        )
    assert path.read_bytes() == kept


def test_appending_what_does_not_belong_there(ladder_model, codec_model, digits, path, photos):
    with pytest.raises(DataNotFoundError, match="There is no file"):
        narrows.compress(digits[1], path, model=ladder_model, append=True)
    narrows.compress(digits[1][:10], path, model=ladder_model)
    kept = path.read_bytes()
    with pytest.raises(WrongModelError, match=r"Append .* or write a new archive\."):
        narrows.compress(digits[1], path, model=codec_model, append=True)
    with pytest.raises(ArchiveError, match=r"Append .* or write a new archive\."):
        narrows.compress(photos, path, model=ladder_model, append=True)
    assert path.read_bytes() == kept
    path.write_bytes(b"nothing of ours")
    with pytest.raises(ArchiveError):
        narrows.compress(digits[1], path, model=ladder_model, append=True)


# Data that are unlike the training data cost quality or bytes, and never fail


def foreign(shape, dtype):
    """Return records unlike any others, by name."""
    rng = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        low, high = np.finfo(dtype).min, np.finfo(dtype).max
        noise = rng.normal(scale=1e3, size=(50, *shape)).astype(dtype)
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        noise = rng.integers(low, high, (50, *shape), dtype, endpoint=True)
    both = np.where(np.arange(20 * math.prod(shape)).reshape(20, *shape) % 3 == 0, low, high).astype(dtype)
    return {
        "noise": noise,
        "least": np.full((20, *shape), low, dtype),
        "most": np.full((20, *shape), high, dtype),
        "least and most": both,
        "zero": np.zeros((300, *shape), dtype),
        "one record": noise[:1],
    }


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # which is right
@pytest.mark.parametrize("kind", ["noise", "least", "most", "least and most", "zero", "one record"])
@pytest.mark.parametrize("name", MODELS)
def test_foreign_data_never_fail(request, path, name, kind):
    model = request.getfixturevalue(name)
    records = foreign(model.shape_, model.dtype_)[kind]
    summary = narrows.compress(records, path, model=model)
    restored = narrows.restore(path, model=model)
    np.testing.assert_array_equal(restored, decoded(model, records, model.codec_.default))
    assert summary.unlike <= len(records)
    json.dumps(summary.to_json(), allow_nan=False)
    symbols = model.codec_.n_symbols
    assert summary.n_bytes < 1500 + len(records) * symbols * 6, "an escape costs a few bytes"


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # which is right
def test_float64_records_beyond_all_bounds(table, path):
    model = narrows.Autoencoder(3, network=Dense(widths=(8,)), training=narrows.Training(epochs=1), random_state=0)
    model.fit(table.astype(np.float64))
    for kind, records in foreign((6,), np.float64).items():
        summary = narrows.compress(records, path, model=model, force=True)
        assert np.isfinite(narrows.restore(path, model=model)).all(), kind
        json.dumps(summary.to_json(), allow_nan=False)


def test_a_warning_says_when_records_are_unlike(codec_model, digits, path):
    white = np.full((50, 8, 8), 255, np.uint8)
    summary = narrows.compress(np.concatenate([digits[1][:50], white]), path, model=codec_model)
    assert summary.unlike == 50
    (warning,) = summary.warnings
    assert (warning["kind"], warning["count"], warning["first"]) == ("unlike", 50, 50)
    text = warning["message"]
    assert text.startswith("50 of 100 records (50%) are unlike the training data. All records are restored at")
    assert text.endswith("Train a model on data like these.")
    assert not narrows.compress(digits[0][:200], path, model=codec_model, force=True).warnings


def test_a_warning_says_when_the_quality_asked_for_is_missed(codec_model, digits, path):
    """The worst of the training data alone come back worse than all of them together."""
    codec = codec_model.codec_
    error = np.square(decoded(codec_model, digits[0], 3) - digits[0].astype(float)).mean((1, 2))
    worst = digits[0][np.argsort(error)[-200:]]
    asked = codec.qualities[3].psnr_db - 0.01
    made = narrows.compress(worst, path, model=codec_model, psnr=asked)
    assert (made.warnings, made.psnr_db > asked - 0.05) == ((), True), "a finer quality, or a bound, reaches it"
    narrows.compress(worst, path, model=codec_model, quality=3, force=True)
    (warning,) = narrows.compress(worst, path, model=codec_model, psnr=asked, append=True).warnings
    assert f"less than the requested {asked:g} dB" in warning["message"]
    assert not narrows.compress(worst, path, model=codec_model, force=True).warnings, "nobody asked"


def test_a_model_of_constant_data_has_nothing_to_compare_with(path):
    records = np.full((40, 6), 3.5, np.float32)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=narrows.Training(epochs=1)).fit(records)
    summary = narrows.compress(records, path, model=model)
    assert (summary.psnr_db, summary.max_error, summary.unlike) == (None, 0, 0)
    assert json.dumps(summary.to_json(), allow_nan=False)
    summary = narrows.compress(records + 1, path, model=model, force=True)
    assert (summary.psnr_db, summary.max_error, summary.unlike) == (None, 1, 40), "the records have no range"
    text = summary.warnings[0]["message"]
    assert text.startswith("40 of 40 records (100%) are unlike the training data. Train")
    assert json.dumps(summary.to_json(), allow_nan=False)


# The summary


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_summary_adds_up(request, data, path, name, embed):
    model, records = request.getfixturevalue(name), data[name]
    summary = narrows.compress(records, path, model=model, embed_model=embed)
    restored = narrows.restore(path, model=model if not embed else None).astype(np.float64)
    error = restored - records
    usual = model.codec_.default
    assert summary.path == str(path)
    assert summary.n_bytes == path.stat().st_size
    assert summary.records == summary.total_records == len(records)
    assert summary.raw_bytes == records.nbytes
    assert summary.bytes_per_record == path.stat().st_size / len(records)
    assert summary.ratio_to_raw == records.nbytes / path.stat().st_size
    assert summary.zstd_bytes == len(zstandard.ZstdCompressor(level=19).compress(records.tobytes()))
    assert summary.ratio_to_zstd == summary.zstd_bytes / summary.n_bytes
    assert summary.model_bytes == len(PartedCodec.of(model.codec_, usual).pack(Needs.CODE))
    assert summary.model_embedded is embed
    assert summary.max_error == np.abs(error).max()
    peak = 255 if records.dtype == np.uint8 else float(records.max() - records.min())
    assert summary.psnr_db == pytest.approx(10 * math.log10(peak**2 / np.square(error).mean()))
    mse = np.square(error).reshape(len(error), -1).mean(1)
    assert summary.unlike == (mse > model.codec_.qualities[usual].mse_limit).sum()
    values = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert values["n_bytes"] == summary.n_bytes
    assert values["pays_after"] == summary.pays_after
    assert "sample" not in values
    assert repr(summary).count("\n") == 0
    assert len(repr(summary)) < 1000


def summary_of(**values):
    usual = {
        "path": "a", "records": 100, "total_records": 100, "n_bytes": 1000, "raw_bytes": 50_000, "psnr_db": 20.0,
        "max_error": 3.0, "expected_psnr_db": 20.0, "expected_bytes_per_record": 9.0, "model_bytes": 2000,
        "model_embedded": False, "unlike": 0, "warnings": (), "sample": np.random.default_rng(0).bytes(10_000),
    }  # fmt: skip
    return Summary(**(usual | values))


@pytest.mark.parametrize("embedded", [False, True])
def test_a_model_pays_after_so_many_records(embedded):
    n_bytes = 1000 + 2000 * embedded
    exact = {"psnr_db": None, "max_error": 0.0}
    assert summary_of().pays_after is None, "lossy, and nothing was measured at the same quality"
    summary = summary_of(n_bytes=n_bytes, model_embedded=embedded, **exact)
    per_zstd = summary.zstd_bytes / 100
    n = summary.pays_after
    assert n * 10 + 2000 <= n * per_zstd, "from there on both together are no larger"
    assert (n - 1) * 10 + 2000 > (n - 1) * per_zstd
    assert summary_of(n_bytes=1_000_000, **exact).pays_after is None


def test_zstd_is_measured_on_a_sample_and_in_proportion_beyond(codec_model, digits, path, monkeypatch):
    monkeypatch.setattr("narrows.archive.summary_of.ZSTD_SAMPLE_BYTES", 64 * 100)
    summary = narrows.compress(digits[1], path, model=codec_model)
    packed = len(zstandard.ZstdCompressor(level=19).compress(digits[1][:100].tobytes()))
    assert summary.zstd_bytes == round(packed * 3.6)


def test_infinite_expectations_are_none_in_json():
    assert summary_of(expected_psnr_db=math.inf).to_json()["expected_psnr_db"] is None
    assert summary_of().to_json()["expected_psnr_db"] == 20.0


# Larger images, and folders of images


@pytest.mark.parametrize("overlap", [0, 3])
def test_larger_images_are_cut_into_tiles_and_come_back_whole(ladder_model, photos, path, overlap):
    summary = narrows.compress(photos, path, model=ladder_model, overlap=overlap, embed_model=True)
    tiling = Tiling.of((20, 27), (8, 8), overlap)
    assert (summary.records, summary.total_records, summary.raw_bytes) == (7, 7, photos.nbytes)
    expected = tiling.assemble(decoded(ladder_model, tiling.cut(photos), ladder_model.codec_.default))
    np.testing.assert_array_equal(narrows.restore(path), expected)
    np.testing.assert_array_equal(narrows.restore(path, records=(2, 5)), expected[2:5])
    with narrows.open_archive(path) as archive:
        assert archive.shape == photos.shape
        np.testing.assert_array_equal(archive[3], expected[3])
        np.testing.assert_array_equal(archive[5:1:-2], expected[5:1:-2])
        np.testing.assert_array_equal(np.stack(list(archive)), expected)
    assert verify(path).is_intact


def test_of_an_image_only_its_own_tiles_are_decoded(ladder_model, photos, path, monkeypatch):
    many = np.tile(photos, (30, 1, 1))
    narrows.compress(many, path, model=ladder_model)
    codec = ladder_model.codec_
    decoded_records = []

    def decode(symbols, quality, **how):
        decoded_records.append(len(symbols))
        return type(codec).decode(codec, symbols, quality, **how)

    monkeypatch.setattr(codec, "decode", decode)
    with narrows.open_archive(path, model=codec) as archive:
        archive[100]
    assert sum(decoded_records) <= 512, "twelve tiles, in one or two groups of 256"


def test_of_a_map_a_group_of_64_is_decoded(large_digits, path, monkeypatch):
    network = Strided(channels=(4, 6), depth=0, code_channels=8)
    model = narrows.recipe("codec", network=network, bottleneck__n_hidden=4, training__epochs=1, random_state=0)
    codec = model.fit(large_digits[0][:300]).codec_
    narrows.compress(large_digits[1], path, model=model)
    expected, decode = narrows.restore(path, model=codec), PartedCodec.decode
    decoded_records = []
    monkeypatch.setattr(
        PartedCodec, "decode", lambda self, s, quality: (decoded_records.append(len(s)), decode(self, s, quality))[1]
    )
    with narrows.open_archive(path, model=codec) as archive:
        assert (archive.metadata.n_symbols, archive.metadata.group_records) == (128, 64)
        np.testing.assert_array_equal(archive[200], expected[200])
        np.testing.assert_array_equal(archive[255], expected[255])
    assert decoded_records == [64]
    narrows.compress(large_digits[1][:10], path, model=model, append=True)
    assert inspect(path).metadata["group_records"] == 64
    assert len(narrows.restore(path, model=codec)) == 370


def test_appending_images_of_another_size_is_refused(ladder_model, digits, photos, path):
    narrows.compress(photos, path, model=ladder_model)
    narrows.compress(photos[:2], path, model=ladder_model, append=True)
    assert inspect(path).n_tiles == 9 * 12
    assert len(narrows.restore(path, model=ladder_model)) == 9
    kept = path.read_bytes()
    holds = r"contains images of 20×27 in tiles of 8×8 with an overlap of 0\. Got "
    for images, how, words in (
        (photos[:, :17], {}, "images of 17×27 in tiles of 8×8 with an overlap of 0"),
        (photos, {"overlap": 2}, "images of 20×27 in tiles of 8×8 with an overlap of 2"),
        (digits[1], {}, "records of 8×8, not in tiles"),
    ):
        with pytest.raises(ArchiveError, match=holds + words + r"\. Append records of the same layout"):
            narrows.compress(images, path, model=ladder_model, append=True, **how)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("overlap", [0, 3])
def test_appended_images_overlap_as_those_before(ladder_model, codec_model, digits, photos, path, overlap):
    narrows.compress(photos[:5], path, model=ladder_model, overlap=overlap)
    narrows.compress(photos[5:6], path, model=ladder_model, append=True)
    narrows.compress(photos[6:], path, model=ladder_model, append=True, overlap=overlap)
    assert inspect(path).metadata["tiling"]["overlap"] == overlap
    tiling = Tiling.of((20, 27), (8, 8), overlap)
    expected = tiling.assemble(decoded(ladder_model, tiling.cut(photos), ladder_model.codec_.default))
    np.testing.assert_array_equal(narrows.restore(path, model=ladder_model), expected)
    with pytest.raises(ArchiveError, match=f"an overlap of {overlap}. Got records of 8×8"):
        narrows.compress(digits[1], path, model=ladder_model, append=True)
    with pytest.raises(WrongModelError):
        narrows.compress(photos, path, model=codec_model, append=True)


def test_appending_leaves_a_damaged_chunk_to_verify(ladder_model, digits, path):
    """What is appended is whole; `verify` names the chunk that was damaged before, `recover` saves all others."""
    narrows.compress(digits[1][:100], path, model=ladder_model)
    data = bytearray(path.read_bytes())
    data[inspect(path).header_bytes + 60] ^= 1
    path.write_bytes(data)
    narrows.compress(digits[1][100:], path, model=ladder_model, append=True)
    expected = decoded(ladder_model, digits[1], ladder_model.codec_.default)
    np.testing.assert_array_equal(narrows.restore(path, model=ladder_model, records=(100, 360)), expected[100:])
    assert verify(path).lost == ((0, 100),)


def test_an_image_of_which_tiles_are_missing_is_refused(ladder_model, photos, path, monkeypatch):
    monkeypatch.setattr(Tiling, "to_json", lambda self: {"image_shape": [64, 64], "overlap": 0})
    narrows.compress(photos, path, model=ladder_model)
    with pytest.raises(CorruptArchiveError, match="not a multiple of the 64 of an image"):
        narrows.restore(path, model=ladder_model)


@pytest.mark.parametrize("large", [False, True])
def test_a_folder_of_images_keeps_its_names(ladder_model, digits, photos, tmp_path, large):
    folder, images = tmp_path / "in", photos if large else digits[1][:5]
    names = [f"{place}/{number}.png" for number, place in enumerate("babab" + "ab" * large)]
    for name, image in zip(names, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    path = tmp_path / "a.narrows"
    narrows.compress(str(folder), path, model=ladder_model)
    source = narrows.data.open(folder)
    with narrows.open_archive(path, model=ladder_model) as archive:
        assert tuple(archive.names()) == source.files
        restored = archive[:]
    out = Path(narrows.restore(path, model=ladder_model, out=f"{tmp_path}/out/"))
    for name, image in zip(source.files, restored, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(out / name)), image)


def test_images_whose_names_differ_in_case_alone(ladder_model, digits, tmp_path, monkeypatch):
    folder, path = tmp_path / "in", tmp_path / "a.narrows"
    folder.mkdir()
    for name, image in zip(("A.png", "a.png"), digits[1], strict=False):
        Image.fromarray(image).save(folder / name)
    if len(list(folder.iterdir())) < 2:
        pytest.skip("upper and lower case are the same here")
    narrows.compress(folder, path, model=ladder_model)
    restored = narrows.restore(path, model=ladder_model)
    out = Path(narrows.restore(path, model=ladder_model, out=f"{tmp_path}/out/"))
    back = narrows.data.open(out)
    assert back.files == narrows.data.open(folder).files
    np.testing.assert_array_equal(back.values, restored)
    monkeypatch.setitem(write_images.__globals__, "_tells_case", lambda _: False)
    with pytest.raises(InvalidParameterError, match=r"'A\.png' and 'a\.png' would be the same file"):
        narrows.restore(path, model=ladder_model, out=f"{tmp_path}/elsewhere/")
    assert {file.name for file in tmp_path.iterdir()} == {"in", "a.narrows", "out"}


def test_errors_of_large_whole_numbers_are_exact():
    tally = ErrorTally(types.SimpleNamespace(mse_limit=1.0), 1.0)
    tally.add(np.array([[2**62 + 1, 2**62, -(2**62)]]), np.array([[2**62, 2**62 + 3, -(2**62) - 743]]))
    assert tally.max_error == 743
    assert float(tally.squared / 1) == 1 + 9 + 743**2
