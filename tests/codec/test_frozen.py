"""The frozen codec: the same bytes everywhere, and nothing but the very codec that was written."""

import hashlib
import json
import math
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from threadpoolctl import threadpool_limits

import narrows
from narrows.bottlenecks import VectorQuantised
from narrows.codec import FrozenCodec, frozen, read_frozen
from narrows.codec.blob import FORMAT
from narrows.codec.program import MOST_WORK
from narrows.codec.serialise import pack_tensors
from narrows.errors import DataNotFoundError, ModelFileError, NotFreezableError
from narrows.networks import Dense

MODELS = ("codec_model", "map_model", "ladder_model", "table_model")
KEY = "narrows_codec"


@pytest.fixture(params=MODELS)
def model(request):
    return request.getfixturevalue(request.param)


def symbols_for(codec, n=512, seed=0):
    """Return symbols as they occur, and some as far out as they may be."""
    rng = np.random.default_rng(seed)
    symbols = np.rint(rng.normal(scale=3, size=(n, codec.n_symbols))).astype(np.int32)
    symbols[::17] = rng.integers(-32767, 32768, symbols[::17].shape)
    return symbols


def parts(blob):
    """Return header and tensors of a blob."""
    length = int.from_bytes(blob[:8], "little")
    return json.loads(json.loads(blob[8 : 8 + length])["__metadata__"][KEY]), load(blob)


def joined(header, tensors):
    """Return the blob of these parts, its checksum right, so that what else is wrong is found by other means."""
    digest = hashlib.sha256(b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))).hexdigest()
    return save(tensors, {KEY: json.dumps({**header, "sha256": digest} if isinstance(header, dict) else header)})


# Bytes


def test_bytes_and_back(model):
    codec = model.codec_
    again = FrozenCodec.from_bytes(codec.blob)
    assert again.blob == codec.blob
    assert again.to_bytes() == codec.blob, "what is read is written in the same way"
    assert again.digest == codec.digest == hashlib.sha256(codec.blob).hexdigest()
    assert (again.shape, again.dtype, again.z_shape, again.default, again.peak) == (
        codec.shape,
        codec.dtype,
        codec.z_shape,
        codec.default,
        codec.peak,
    )
    symbols = symbols_for(codec)
    for position, (read, written) in enumerate(zip(again.qualities, codec.qualities, strict=True)):
        np.testing.assert_array_equal(again.decode(symbols, position), codec.decode(symbols, position))
        np.testing.assert_array_equal(read.steps, written.steps)
        measured = [(q.psnr_db, q.bytes_per_record, q.mse_limit) for q in (read, written)]
        assert measured[0] == measured[1]
        assert (
            read.entropy.encode(symbols).message.words.tobytes()
            == written.entropy.encode(symbols).message.words.tobytes()
        )


def test_one_quality_alone_restores_the_same(model):
    codec = model.codec_
    symbols = symbols_for(codec, 40)
    for position, quality in enumerate(codec.qualities):
        alone = codec.only(position)
        assert alone.qualities == (quality,)
        assert alone.default == 0
        assert len(alone.blob) <= len(codec.blob)
        assert FrozenCodec.from_bytes(alone.blob).digest == alone.digest
        np.testing.assert_array_equal(alone.decode(symbols, 0), codec.decode(symbols, position))
    assert len({codec.only(position).digest for position in range(len(codec.qualities))}) == len(codec.qualities)


def test_what_carries_the_whole_numbers_makes_no_difference(model):
    codec = model.codec_
    symbols = symbols_for(codec, 200)
    for quality in {0, len(codec.qualities) - 1}:
        usual = codec.decode(symbols, quality)
        for backend in ("float64", "int64", "torch"):
            assert codec.decode(symbols, quality, backend=backend).tobytes() == usual.tobytes(), backend
        for size in (1, 7, 200):
            n = min(200, 10 * size)
            pieces = [codec.decode(symbols[start : min(start + size, n)], quality) for start in range(0, n, size)]
            assert np.concatenate(pieces).tobytes() == usual[:n].tobytes(), f"batches of {size}"
        for n_threads in (1, 2):
            with threadpool_limits(n_threads):
                assert codec.decode(symbols, quality).tobytes() == usual.tobytes(), f"{n_threads} threads"
            torch.set_num_threads(n_threads)
            try:
                assert codec.decode(symbols, quality, backend="torch").tobytes() == usual.tobytes()
            finally:
                torch.set_num_threads(1)


def test_no_records_are_no_records(model):
    codec = model.codec_
    empty = codec.decode(np.empty((0, codec.n_symbols), np.int32), 0)
    assert empty.shape == (0, *codec.shape)
    assert empty.dtype == codec.dtype


def test_records_have_the_dtype_and_shape_of_the_training_data(model):
    codec = model.codec_
    restored = codec.decode(symbols_for(codec, 3), codec.default)
    assert restored.shape == (3, *model.shape_)
    assert restored.dtype == model.dtype_


def test_a_codec_always_makes_the_same_bytes(model):
    """Sorted by type and name, no space that could be otherwise: its hash is its name."""
    blob = model.codec_.blob
    length = int.from_bytes(blob[:8], "little")
    text = blob[8 : 8 + length].decode()
    described = json.loads(text)
    assert text == json.dumps(described, separators=(",", ":"), ensure_ascii=False).ljust(length)
    assert length % 8 == 0
    assert length - len(text.rstrip()) < 8
    inner = described.pop("__metadata__")
    assert list(inner) == [KEY]
    assert inner[KEY] == json.dumps(json.loads(inner[KEY]), sort_keys=True)
    types = ["I64", "F64", "I32", "U16", "I16"]
    order = [(types.index(one["dtype"]), name) for name, one in described.items()]
    assert order == sorted(order)
    ends = [one["data_offsets"] for one in described.values()]
    assert [start for start, _ in ends] == [0, *(stop for _, stop in ends[:-1])]
    assert ends[-1][1] == len(blob) - 8 - length
    for one in described.values():
        assert one["data_offsets"][0] % (int(one["dtype"][1:]) // 8) == 0


def test_tensors_that_are_packed_are_a_safetensors_file(model):
    _, tensors = parts(model.codec_.blob)
    packed = pack_tensors(tensors, {"b": "1", "a": 'é "2"'})
    assert packed == pack_tensors(dict(reversed(tensors.items())), {"a": 'é "2"', "b": "1"})
    loaded = load(packed)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype


def test_blobs_in_another_order_are_read(ladder_model):
    """What other writers made of the same tensors: a reader does not care."""
    codec = ladder_model.codec_.only(0)
    blob = codec.blob
    length = int.from_bytes(blob[:8], "little")
    described, data = json.loads(blob[8 : 8 + length]), blob[8 + length :]
    text, moved, at = {"__metadata__": described.pop("__metadata__")}, b"", 0
    for name in sorted(described, reverse=True):
        start, stop = described[name]["data_offsets"]
        moved += data[start:stop]
        text[name] = {**described[name], "data_offsets": [at, at + stop - start]}
        at += stop - start
    packed = json.dumps(text, indent=1).encode()
    other = FrozenCodec.from_bytes(len(packed).to_bytes(8, "little") + packed + moved)
    assert other.digest != codec.digest
    assert other.to_bytes() == blob
    np.testing.assert_array_equal(other.decode(codec.golden, 0), codec.decode(codec.golden, 0))


# Model files


def test_the_codec_comes_out_of_a_model_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert read_frozen(path).blob == model.codec_.blob


def test_files_that_hold_no_codec(ladder_model, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"The model file .* does not exist"):
        read_frozen(tmp_path / "none")
    path = tmp_path / "model"
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        read_frozen(path)
    path.write_bytes(save({"frozen": np.zeros(3, np.uint8)}, {"narrows": "{}"})[:-1])
    with pytest.raises(ModelFileError, match="is a safetensors file that is damaged"):
        read_frozen(path)
    path.write_bytes(save({"frozen": np.zeros(3, np.uint8)}, {"other": "{}"}))
    with pytest.raises(ModelFileError, match="not a narrows model"):
        read_frozen(path)
    path.write_bytes(save({"frozen": np.zeros(3, np.uint8)}, {"narrows": "{}"}))
    with pytest.raises(ModelFileError, match=r"model cannot be used\. The frozen decoder is damaged"):
        read_frozen(path)
    for header in ("[]", "3", "null", '"x"', "[[1, 2, 3]]", "{"):
        path.write_bytes(save({"other": np.zeros(3, np.uint8)}, {"narrows": header}))
        with pytest.raises((ModelFileError, NotFreezableError)):
            read_frozen(path)
    path.write_bytes(save({"other": np.zeros(3, np.uint8)}, {"narrows": '{"not_frozen": "It is too odd."}'}))
    with pytest.raises(NotFreezableError, match=r"model: It is too odd\."):
        read_frozen(path)


@pytest.mark.parametrize("dtype", ["I8", "BOOL", "F8_E4M3", "F8_E5M2", "I16", "BF16", "C64"])
def test_a_codec_of_another_type_is_none(ladder_model, tmp_path, dtype):
    path = tmp_path / "model"
    ladder_model.save(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    outer = json.loads(data[8 : 8 + length])
    n = int(dtype[1:]) // 8 if dtype[1:].isdigit() else 2 if dtype == "BF16" else 1
    blob = np.frombuffer(ladder_model.codec_.blob[: len(ladder_model.codec_.blob) // 8 * 8], np.uint8)
    outer = {"__metadata__": outer["__metadata__"]}
    outer["frozen"] = {"dtype": dtype, "shape": [len(blob) // n], "data_offsets": [0, len(blob)]}
    text = json.dumps(outer).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob.tobytes())
    with pytest.raises(ModelFileError, match="model"):
        read_frozen(path)


# Blobs that are damaged, or made to deceive


def test_a_decoder_that_computes_something_else_is_refused(model):
    """One byte of a layer's weights at a time: where it matters to what was written down, the codec is not read."""
    codec = model.codec_
    header, tensors = parts(codec.blob)
    names = [name for name in tensors if name.startswith("decoder.") and name.endswith(".weights")]
    assert len(names) > 1
    refused = tried = 0
    for name in names:
        places = np.argsort(np.abs(tensors[name].reshape(-1)))[-10:]
        for place in places:
            weights = tensors[name].copy()
            weights.reshape(-1).view(np.uint8)[2 * place + 1] ^= 0xC0  # about as large, and of the other sign
            tried += 1
            try:
                FrozenCodec.from_bytes(joined(header, tensors | {name: weights}))
            except ModelFileError as error:
                assert "does not reproduce its golden vectors" in str(error)  # noqa: PT017
                refused += 1
    assert refused > 0.7 * tried


def use_all(codec):
    """Decode something at every quality: golden vectors are replayed at the first use."""
    return [codec.decode(codec.golden, position) for position in range(len(codec.qualities))]


def test_other_steps_or_tables_than_were_written_are_refused(ladder_model):
    header, tensors = parts(ladder_model.codec_.blob)
    for name, change in (
        ("quality.0.rescale.0.multipliers", lambda x: x // 2 + 1),
        ("quality.0.entropy.lows", lambda x: x + 1),
        ("quality.1.entropy.frequencies", lambda x: x[::-1].copy()),
        ("output.offset", lambda x: np.array(x + 3)),
        ("golden", lambda x: x // 2),
    ):
        blob = joined(header, tensors | {name: change(tensors[name])})
        with pytest.raises(ModelFileError):
            pytest.fail(f"{name}: {use_all(FrozenCodec.from_bytes(blob))}")


def test_steps_must_be_steps(ladder_model):
    header, tensors = parts(ladder_model.codec_.blob)
    steps = tensors["quality.0.steps"]
    for bad in (steps * 0, -steps, steps * np.nan, steps * np.inf, steps.astype(np.float32), steps[:-1], steps[None]):
        with pytest.raises(ModelFileError, match="do not match"):
            FrozenCodec.from_bytes(joined(header, tensors | {"quality.0.steps": bad}))


def test_blobs_that_are_cut_off_are_refused(ladder_model):
    blob = ladder_model.codec_.only(0).blob
    rng = np.random.default_rng(0)
    for length in [0, 1, 7, 8, 9, len(blob) // 2, len(blob) - 1, *rng.integers(0, len(blob), 40)]:
        with pytest.raises(ModelFileError, match="damaged"):
            FrozenCodec.from_bytes(blob[:length])
    with pytest.raises(ModelFileError, match="damaged"):
        FrozenCodec.from_bytes(blob + b"\0")


def test_a_codec_of_a_newer_narrows_says_so(ladder_model):
    header, tensors = parts(ladder_model.codec_.only(0).blob)
    with pytest.raises(ModelFileError, match=f"has format {FORMAT + 1}; .* reads formats up to {FORMAT}. Upgrade"):
        FrozenCodec.from_bytes(joined(header | {"format": FORMAT + 1}, tensors))


WRONG = (
    None,
    True,
    -1,
    0,
    1 << 70,
    10**400,
    1.5,
    math.nan,
    "",
    "x" * 1000,
    "float128",
    [],
    [-1],
    [1 << 40] * 9,
    {},
    [[]],
)


def entries(values, at=()):
    """Go through all entries of JSON values, by path."""
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in children:
        yield (*at, key)
        yield from entries(value, (*at, key))


def changed(values, at, value):
    """Return a copy of JSON values with another one there; without any if it is `KeyError`."""
    values = json.loads(json.dumps(values))
    inner = values
    for key in at[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return values


@pytest.mark.parametrize("name", ["codec_model", "ladder_model"])
def test_headers_that_lie_are_refused_or_change_nothing(request, name):
    """Whatever stands for an entry, or for nothing: what is read restores the same, or it is not read."""
    codec = request.getfixturevalue(name).codec_.only(0)
    header, tensors = parts(codec.blob)
    told = json.dumps(header)
    n_lies = n_read = 0
    measured = {"psnr_db", "bytes_per_record", "mse_limit", "peak"}  # may be any numbers
    symbols = symbols_for(codec, 20)
    for at in entries(header):
        for wrong in (KeyError, *WRONG):
            lie = changed(header, at, wrong)
            if json.dumps(lie) == told:
                continue
            n_lies += 1
            try:
                read = FrozenCodec.from_bytes(joined(lie, tensors))
            except ModelFileError as error:
                assert str(error).count("\n") == 0  # noqa: PT017
                continue
            n_read += 1
            assert at[-1] not in measured or wrong is None or isinstance(wrong, int | float), (at, wrong)
            assert read.decode(symbols, 0).tobytes() == codec.decode(symbols, 0).tobytes(), (at, wrong)
            coded = [one.qualities[0].entropy.encode(symbols) for one in (read, codec)]
            assert coded[0].message.words.tobytes() == coded[1].message.words.tobytes(), (at, wrong)
    assert n_lies > 400
    assert n_read < n_lies / 10


def with_operations(header, at, operations):
    """Return a header whose decoder, or a quality's rescale, has other operations."""
    return changed(header, (*at, "operations"), operations)


def test_a_rescale_is_a_rescale_and_a_reshape(codec_model):
    codec = codec_model.codec_.only(0)
    header, tensors = parts(codec.blob)
    rescale, reshape = header["qualities"][0]["rescale"]["operations"]
    assert (rescale["kind"], reshape["kind"]) == ("rescale", "reshape")
    n = codec.n_symbols
    dense = {"kind": "dense", "shift": 0, "weights": "w", "biases": "b"}
    more = {"quality.0.rescale.w": np.eye(n, dtype=np.int16), "quality.0.rescale.b": np.zeros(n, np.int64)}
    for operations in (
        [],
        [rescale],
        [reshape],
        [reshape, rescale],
        [rescale, rescale, reshape],
        [rescale, reshape, {"kind": "rectify"}],
        [rescale, dense, reshape],
        [dense, reshape],
    ):
        blob = joined(with_operations(header, ("qualities", 0, "rescale"), operations), tensors | more)
        with pytest.raises(ModelFileError, match="'rescale' of a quality must be a rescale and a reshape"):
            FrozenCodec.from_bytes(blob)


def test_a_codebook_comes_with_what_lays_its_rows_out(digits):
    settings = {"n_latent": 6, "network": Dense(widths=(4,)), "training": narrows.Training(epochs=1)}
    bottleneck = VectorQuantised(n_codes=5, dim=2)
    codec = narrows.Autoencoder(bottleneck=bottleneck, random_state=0, **settings).fit(digits[0][:200]).codec_
    header, tensors = parts(codec.blob)
    operations = header["qualities"][0]["rescale"]["operations"]
    assert [operation["kind"] for operation in operations] == ["codebook", "reshape", "transpose", "reshape"]
    assert FrozenCodec.from_bytes(joined(header, tensors)).n_symbols == 3
    codebook, *layout = operations
    for wrong in ([codebook], [codebook, layout[2]], layout, [*operations, layout[2]], [codebook, codebook, *layout]):
        blob = joined(with_operations(header, ("qualities", 0, "rescale"), wrong), tensors)
        with pytest.raises(ModelFileError):
            FrozenCodec.from_bytes(blob)
    for lies in ({"in_shape": [4]}, {"in_shape": [1, 3]}, {"in_shape": [1 << 26]}, {"in_shape": []}):
        rescale = {**header["qualities"][0]["rescale"], **lies}
        with pytest.raises(ModelFileError):
            FrozenCodec.from_bytes(joined(changed(header, ("qualities", 0, "rescale"), rescale), tensors))
    table = tensors["quality.0.rescale.0.table"]
    for wrong in (table[:, :1], np.zeros((1 << 16, 2), np.int16), table.astype(np.int32), table[:0], -table):
        with pytest.raises(ModelFileError):
            FrozenCodec.from_bytes(joined(header, {**tensors, "quality.0.rescale.0.table": wrong}))


def test_the_codec_of_one_quality_is_made_once_for_archives_in_a_row(ladder_model):
    codec = FrozenCodec.from_bytes(ladder_model.codec_.blob)
    first, again, other = codec.only(0), codec.only(0), codec.only(1)
    assert first is again
    assert (len(first.qualities), len(other.qualities)) == (1, 1)
    assert len({first.digest, other.digest, codec.digest}) == 3
    assert codec.only(0).blob == first.blob


def test_as_many_golden_vectors_as_can_be_replayed_in_time(ladder_model, monkeypatch):
    codec = ladder_model.codec_.only(0)
    work = MOST_WORK // codec._most_golden()
    monkeypatch.setattr(frozen, "MOST_WORK", 3 * work + 1)
    fewer = codec._with(codec.qualities, 0, None)
    assert [len(one.golden) for one in (codec, fewer)] == [8, 3]
    np.testing.assert_array_equal(fewer.golden, codec.golden[::3])
    assert FrozenCodec.from_bytes(fewer.blob).digest == fewer.digest
    with pytest.raises(ModelFileError, match=r"at most [34] golden vectors.* Got 8"):
        FrozenCodec.from_bytes(codec.blob)
    monkeypatch.setattr(frozen, "MOST_WORK", work // 2)
    with pytest.raises(NotFreezableError, match=r"takes [0-9,]+ multiplications"):
        codec._with(codec.qualities, 0, None)
    with pytest.raises(ModelFileError, match=r"takes [0-9,]+ multiplications"):
        FrozenCodec.from_bytes(fewer.blob)


def test_a_small_model_that_would_take_for_ever_is_refused_at_once(ladder_model):
    """Allowed for one record, but not for each of the golden vectors that are replayed where it is read."""
    codec = ladder_model.codec_.only(0)
    header, tensors = parts(codec.blob)
    (n,) = codec.z_shape
    detour = [{"kind": "reshape", "shape": [n, 1, 1]}, *[{"kind": "upsample", "size": [8192, 4096]}] * 7]
    back = [{"kind": "upsample", "size": [n, 1]}, {"kind": "reshape", "shape": [n]}]
    longer = with_operations(header, ("decoder",), [*detour, *back, *header["decoder"]["operations"]])
    started = time.perf_counter()
    with pytest.raises(ModelFileError, match=r"at most 4 golden vectors.* Got 8"):
        FrozenCodec.from_bytes(joined(longer, tensors))
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("missing", ["golden", "output.scale", "quality.0.steps", "quality.0.entropy.lows"])
def test_a_tensor_that_is_missing_is_named(ladder_model, missing):
    header, tensors = parts(ladder_model.codec_.only(0).blob)
    del tensors[missing]
    with pytest.raises(ModelFileError, match=missing.split(".")[-1]):
        FrozenCodec.from_bytes(joined(header, tensors))


def test_tensors_of_another_type_are_refused(ladder_model):
    header, tensors = parts(ladder_model.codec_.only(0).blob)
    for name, tensor in tensors.items():
        for dtype in (np.float32, np.int8, np.uint64):
            with pytest.raises(ModelFileError):
                FrozenCodec.from_bytes(joined(header, tensors | {name: tensor.astype(dtype)}))


def test_headers_that_are_no_objects_are_refused(ladder_model):
    _, tensors = parts(ladder_model.codec_.only(0).blob)
    for header in ([], 3, "x", None, {}, {"format": 1}):
        with pytest.raises(ModelFileError):
            FrozenCodec.from_bytes(joined(header, tensors))
    for metadata in (None, {}, {KEY: "{"}, {KEY: "[" * 100_000}, {"other": "{}"}):
        with pytest.raises(ModelFileError):
            FrozenCodec.from_bytes(save(tensors, metadata))


@pytest.mark.parametrize("name", ["codec_model", "table_model"])
def test_flipped_bits_are_refused_or_leave_what_was_written_down(request, name):
    """A codec that is read restores its golden vectors; and no archive takes a changed one for the one it names."""
    codec = request.getfixturevalue(name).codec_.only(0)
    rng = np.random.default_rng(1)
    golden = codec.decode(codec.golden, 0).tobytes()
    refused = 0
    for position, bit in zip(rng.integers(0, len(codec.blob), 400), rng.integers(0, 8, 400), strict=True):
        blob = bytearray(codec.blob)
        blob[position] ^= 1 << bit
        try:
            damaged = FrozenCodec.from_bytes(bytes(blob))
        except ModelFileError:
            refused += 1
            continue
        assert damaged.digest != codec.digest
        assert damaged.decode(codec.golden, 0).tobytes() == golden
    assert refused > 200
