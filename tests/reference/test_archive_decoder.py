"""An independent decoder, written from docs/format.md alone, restores what narrows restores, to the last bit."""

import functools
import hashlib
import importlib.util
import json
import struct
import sys
import zlib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import narrows
from narrows.bottlenecks import VectorQuantised
from narrows.codec import read_frozen
from narrows.codec.operations import GRU, LSTM, Argmax, Branches, Clip, Lookup, Relu, Reshape
from narrows.codec.operations import Dense as Dense16
from narrows.codec.program import Program
from narrows.codec.residual import predicted
from narrows.codec.residual.causal import FrozenCausal as FrozenNetwork
from narrows.codec.residual.causal import as_image
from narrows.codec.residual.chunk import decode_chunk, encode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.grouped import encode_groups
from narrows.codec.residual.predicted import encode_predicted
from narrows.lossless import CausalNetwork
from narrows.networks import Convolutional, Dense, Recurrent, Strided, Temporal


def load_decoder():
    spec = importlib.util.spec_from_file_location("archive_decoder", Path(__file__).with_name("archive_decoder.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.load_model = functools.lru_cache(maxsize=16)(module.load_model)  # a model is read once for all its archives
    return module


decoder = load_decoder()
SMALL = {"bottleneck__n_hidden": 4, "likelihood__psnr": 14.0}  # a coarse code and a small prior, quickly trained
STRIDED = Strided(channels=(6, 8), depth=1, code_channels=2)


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def fit(name, data, epochs=1, **settings):
    return narrows.recipe(name, training__epochs=epochs, artefacts="codec", random_state=0, **settings).fit(data)


def assert_same(path, model=None):
    """Both readers restore the same; return what they do."""
    expected = narrows.restore(path, model=model)
    found = decoder.read(path, None if model is None else model.codec_.blob)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()
    return found


def chunks(path):
    archive = decoder.open_archive(path)
    return [decoder.parse_chunk(archive, entry) for entry in archive.chunks]


def with_group_records(path, value):
    """Give an archive another size of groups, with a header that is intact, and an index at the place for it."""
    data = path.read_bytes()
    n = 24 + int.from_bytes(data[16:20], "little")
    meta = {**json.loads(data[20 : n - 4]), "group_records": value}
    text = json.dumps(meta, sort_keys=True, separators=(",", ":")).encode()
    head = data[:16] + len(text).to_bytes(4, "little") + text
    path.write_bytes(head + zlib.crc32(head).to_bytes(4, "little") + data[n:])


def n_escape_bytes(path):
    return sum(len(chunk.message.escapes) for chunk in chunks(path))


def kinds(path):
    return {chunk.residual.kind for chunk in chunks(path)}


# Models, each trained once


@pytest.fixture(scope="module")
def auto(digits):
    training = {"training__batch_size": 32, "training__optimiser__learning_rate": 5e-3}
    return fit("auto", digits[0][:600], epochs=3, **training)


@pytest.fixture(scope="module")
def colour_images(large_digits):
    images = large_digits[0][:300]
    return np.stack([images, 255 - images, images[:, ::-1]], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def colour(colour_images):
    return fit("codec", colour_images, network=STRIDED, **SMALL)


@pytest.fixture(scope="module")
def float_images(large_digits):
    return (large_digits[0][:300] / 16).astype(np.float32)


@pytest.fixture(scope="module")
def float_map(float_images):
    return fit("codec", float_images, network=STRIDED, **SMALL)


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(400, 6))
    return table.astype(np.float32)


@pytest.fixture(scope="module")
def columns_model(columns):
    return fit("auto", columns, epochs=3, n_latent=3)


@pytest.fixture
def embedded(tmp_path, columns, columns_model):
    """Return a small archive that carries its model."""
    path = tmp_path / "table.narrows"
    narrows.compress(np.concatenate([columns[:280], 1e5 * columns[:20]]), path, model=columns_model, embed_model=True)
    return path


# The page's own examples


def test_the_example_of_a_message():
    tensors = {
        "lows": np.array([0], np.int32),
        "sizes": np.array([4], np.int32),
        "frequencies": np.array([100, 3, 1, 150, 2], np.uint16),
    }
    tables = decoder.Tables({"precision": 8}, tensors, "")
    states = np.array([222353414, 169828, 12727294, 596734], np.uint32)
    words = np.array([7441, 13310, 5166, 48229, 49764, 2815, 30564, 45823, 45823, 32766], np.uint16)
    reader = decoder.Decoder(tables, decoder.Message(states, words, b""))
    expected = [[(11 * d + r) ** 2 % 5 for r in range(11)] for d in range(3)]
    for block in expected:
        rows = [reader.row(np.zeros(min(4, 11 - i), np.int64)) for i in (0, 4, 8)]
        assert np.concatenate(rows).tolist() == block
    reader.finish()
    writer = decoder.Encoder(tables, np.zeros((11, 0)))
    for block in expected:
        numbers, entries = np.zeros(11, np.int64), np.array(block)
        writer.blocks.append((tables.frequencies[entries].tolist(), tables.start(numbers, entries).tolist()))
    message = writer.message(4)
    assert (message.states.tolist(), message.words.tolist()) == (states.tolist(), words.tolist())


def test_the_example_of_escapes():
    written = bytes.fromhex("00 01 02 7e 7f 80 01 fe ff 03 fd ff 03")
    values = [0, -1, 1, 63, -64, 64, 32767, -32767]
    assert decoder.parse_escapes(written).tolist() == values
    assert b"".join(decoder.format_escape(value) for value in values) == written
    for damaged in ("80", "80 00", "ff ff 03", "fe ff 04", "80 80 80 01"):
        with pytest.raises(ValueError, match="escape"):
            decoder.parse_escapes(bytes.fromhex(damaged))


def test_the_tables_of_mixtures():
    assert zlib.crc32(decoder.SIGMOID.astype("<u4").tobytes()) == 0xCC694F76
    assert zlib.crc32(decoder.SLOPE.astype("<u4").tobytes()) == 0x366AA1B3
    assert zlib.crc32(decoder.EXP.astype("<u4").tobytes()) == 0xB829B952


def test_the_example_of_a_mixture():
    weights, scales = np.array([[32256], [512]]), np.array([[18], [24]])
    mixture = decoder.Mixture(weights, scales, np.array([[37], [37]]), np.array([2 - 8]), 16)
    expected = [0, 1, 3, 6, 12, 28, 86, 528, 6174, 41068, 63107, 65294, 65483, 65517, 65528, 65535, 65536]
    assert mixture.starts()[:, 0].tolist() == expected


def test_the_example_of_logits():
    assert decoder.weights_of(np.array([[100], [68], [-500]]))[:, 0].tolist() == [23956, 8812, 0]


def test_the_example_of_neighbours():
    patterns, number_of = decoder.find_patterns((5, 9))
    middle = patterns[number_of[2 * 9 + 4]]
    assert middle.before == [-1, -9, -2, -10, -18, -8]
    assert middle.after == [9, 1, 8, 10]


def test_the_example_of_linear_prediction():
    weights = [20, 0, 2, 0, 0, 1, 0, 1, -1, 0]
    plain = bytes([0]) + bytes([24] * 96) + bytes([5] * 96) + struct.pack("<10q", *(one << 16 for one in weights))
    packed, escapes = zlib.compress(plain), zlib.compress(struct.pack("<q", 41))
    sizes = struct.pack("<5IB3x", len(packed), 1, 2, len(escapes), 0, 1)
    message = struct.pack("<I2H", 90447020, 26728, 0)
    data = sizes + packed + message + escapes + bytes.fromhex("c06000a0")
    expected = [[[9, 12], [12, 15]], [[21, 21], [24, 24]], [[30, 33], [30, 249]]]
    grid = decoder.grid_of(np.dtype("u1"), 1.0)
    assert decoder.from_linear(data, None, grid, (3, 2, 2)).tolist() == expected
    assert decode_chunk(Kind.LINEAR, data, None, ErrorBound(np.dtype("u1"), 1), (3, 2, 2)).tolist() == expected


def test_the_example_of_bins():
    pattern = decoder.Pattern([-1], [])
    run = SimpleNamespace(anchors=np.zeros((2, 7), np.int64), errors=np.array([[0, 1, 2, 3, 4, 6, 8]]))
    assert decoder.Predictor.bins(run, 1, pattern).tolist() == [0, 1, 3, 4, 5, 6, 7]


# Programs with branches


def layer(seed, n_out, n_in):
    rng = np.random.default_rng(seed)
    return Dense16(rng.integers(-9000, 9000, (n_out, n_in)).astype(np.int16), rng.integers(-(2**30), 2**30, n_out), 17)


def curve(seed):
    return Lookup(np.random.default_rng(seed).integers(-32768, 32768, 33).astype(np.int16))


def beside_a_network():
    network = (Clip(-5000, 7000), layer(2, 9, 4), curve(3), layer(4, 6, 9))
    branches = Branches(((layer(1, 6, 4),), network, (Relu(), layer(1, 6, 4))), (3, 0, 32), 2)
    return Program((4,), [Branches(((), (curve(5),)), (1, 0), 1), branches, curve(3), Reshape((2, 3))])


def test_branches_are_computed_as_the_page_says():
    program = beside_a_network()
    settings, tensors = program.to_tensors()
    x = np.random.default_rng(6).integers(-32768, 32768, (300, 4))
    found = decoder.build_program(settings, {f"decoder.{name}": one for name, one in tensors.items()}, "decoder.")
    np.testing.assert_array_equal(found.run(x), program.run(x))
    assert (found.out_shape, found.work) == (program.out_shape, program.work)


@pytest.mark.parametrize(("kind", "groups"), [(GRU, 3), (GRU, 4), (LSTM, 4)])
@pytest.mark.parametrize("scales", [(14, 12), (1, 16), (20, 3)])
def test_recurrent_layers_are_computed_as_the_page_says(kind, groups, scales):
    rng = np.random.default_rng(1)
    weights, biases = rng.integers(-9000, 9000, (groups * 5, 5)), rng.integers(-(2**28), 2**28, groups * 5)
    program = Program((1, 7, 5 * kind.n_gates), [kind(weights.astype(np.int16), biases, *scales)])
    settings, tensors = program.to_tensors()
    x = rng.integers(-32768, 32768, (40, 1, 7, 5 * kind.n_gates))
    found = decoder.build_program(settings, {f"decoder.{name}": one for name, one in tensors.items()}, "decoder.")
    np.testing.assert_array_equal(found.run(x), program.run(x))
    assert (found.out_shape, found.work) == (program.out_shape, program.work)


def test_categories_beside_numbers_are_computed_as_the_page_says():
    operations = [
        layer(1, 9, 4),
        Argmax(np.array([1, 1, 4, 3], np.int32)),
        Reshape((2, 2)),
        Argmax(np.array([2], np.int32)),
    ]
    program = Program((4,), operations)
    settings, tensors = program.to_tensors()
    x = np.random.default_rng(6).integers(-32768, 32768, (300, 4))
    found = decoder.build_program(settings, {f"decoder.{name}": one for name, one in tensors.items()}, "decoder.")
    np.testing.assert_array_equal(found.run(x), program.run(x))
    assert (found.out_shape, found.work) == (program.out_shape, program.work)


BESIDE = {"kind": "branches", "shifts": [0, 1], "shift": 1, "branches": [[], [{"kind": "rectify"}]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"branches": [[]], "shifts": [0]},
        {"branches": [[]] * 9, "shifts": [0] * 9},
        {"branches": [[], [BESIDE]]},
        {"branches": [[], [{"kind": "reshape", "shape": [1, 2]}]]},
        {"branches": [[], [{"kind": "clip", "low": 3, "high": 2}]]},
        {"branches": [[], [{"kind": "clip", "low": -32769, "high": 2}]]},
        {"branches": [[], [{"kind": "rectify", "new": 1}]]},
        {"branches": [[{"kind": "rectify"}] * 500] * 2},
        {"shifts": [0]},
        {"shifts": [0, 33]},
        {"shift": 54},
        {"new": 1},
    ],
    ids=lambda changes: repr(changes)[:60],
)
def test_both_readers_refuse_the_same_branches(changes):
    for value, is_right in ((BESIDE, True), ({**BESIDE, **changes}, False)):
        program = {"in_shape": [2], "operations": [value]}
        for read, error in (
            (lambda p: decoder.build_program(p, {}, ""), ValueError),
            (lambda p: Program.from_tensors(p, {}), narrows.errors.ModelFileError),
        ):
            with nullcontext() if is_right else pytest.raises(error):
                read(program)


# The same bytes


def test_recipe_auto_on_digits(tmp_path, digits, auto):
    path = tmp_path / "digits.narrows"
    data = np.concatenate([digits[1], noise(60, 8, 8), 255 * (noise(60, 8, 8) // 128)])
    narrows.compress(data, path, model=auto)
    assert_same(path, auto)
    assert len({image.tobytes() for image in narrows.restore(path, model=auto)}) > 100  # the model learnt something
    assert len(chunks(path)[0].group_crcs) > 1
    narrows.compress(data[-120:], tmp_path / "finest.narrows", model=auto, bytes_per_record=30)
    assert_same(tmp_path / "finest.narrows", auto)


def test_recipe_codec_on_digits_at_several_qualities(tmp_path, digits, codec_model):
    data = np.concatenate([*digits, 255 * (noise(60, 8, 8) // 128)])
    n_lanes, last = set(), len(codec_model.codec_.qualities) - 1
    assert last > 1
    for quality in (0, last // 2, last):
        path = tmp_path / f"{quality}.narrows"
        narrows.compress(data, path, model=codec_model, quality=quality)
        assert_same(path, codec_model)
        assert decoder.open_archive(path).header.quality == quality
        n_lanes.update(len(chunk.message.states) for chunk in chunks(path))
    assert max(n_lanes) > 1
    model = decoder.load_model(codec_model.codec_.blob)
    assert {type(quality.entropy) for quality in model.qualities} == {decoder.Autoregressive}
    assert model.qualities[0].entropy.grid == (1, 1)


def test_recipe_codec_with_a_map_code(tmp_path, large_digits, map_model):
    path = tmp_path / "maps.narrows"
    narrows.compress(np.concatenate([large_digits[1][:100], noise(20, 16, 16)]), path, model=map_model)
    assert_same(path, map_model)
    entropy = decoder.load_model(map_model.codec_.blob).qualities[0].entropy
    assert entropy.grid == (4, 4)
    assert entropy.weights_near.any()


@pytest.mark.parametrize(
    ("recipe", "resampling"),
    [
        ("auto", "pool"),
        ("codec", "stride"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [("auto", "stride"), ("codec", "pool")]),
    ],
)
def test_convolutional_networks(tmp_path, digits, recipe, resampling):
    code = {"n_latent": 4} if recipe == "auto" else {"network__code_channels": 2, **SMALL}
    settings = {"network__channels": (4, 6), "network__resampling": resampling, **code}
    model = fit(recipe, digits[0][:300], network=Convolutional(), **settings)
    path = tmp_path / "digits.narrows"
    narrows.compress(np.concatenate([digits[1][:40], noise(20, 8, 8)]), path, model=model)
    assert_same(path, model)


@pytest.mark.parametrize(
    "network",
    [
        Temporal(channels=(4, 5), stride=3, dilations=(1, 2)),
        Recurrent(width=6, patch=2),
        Recurrent(width=6, patch=3, teacher_forcing=True),
        Recurrent(width=6, patch=1, cell="lstm", code_input="repeated"),
    ],
    ids=repr,
)
def test_networks_for_series(tmp_path, columns, network):
    series = np.cumsum(np.tile(columns, (1, 2))[:, :10], axis=1).reshape(-1, 5, 2)
    model = fit("auto", series, network=network, record="series", n_latent=3)
    path = tmp_path / "series.narrows"
    narrows.compress(np.concatenate([series[:50], 1e3 * series[:9]]), path, model=model, embed_model=True)
    assert_same(path)


def test_a_tied_network(tmp_path, digits):
    model = fit("auto", digits[0][:300], network=Dense(widths=(16,), tied=True), n_latent=5)
    path = tmp_path / "digits.narrows"
    narrows.compress(np.concatenate([digits[1][:40], noise(20, 8, 8)]), path, model=model)
    assert_same(path, model)


@pytest.mark.parametrize("recipe", ["auto", "codec"])
def test_a_float32_table(tmp_path, columns, recipe):
    model = fit(recipe, columns, network=Dense(widths=(16,)), n_latent=3)
    path = tmp_path / "table.narrows"
    foreign = np.concatenate([columns[:20] * np.float32(factor) for factor in (-10, 1e3, 1e30)])
    narrows.compress(np.concatenate([columns[:50], foreign]), path, model=model)
    assert_same(path, model)
    assert n_escape_bytes(path)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # which is right
@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint32", "int64", "uint64", "float16", "float64"])
def test_records_of_other_types(tmp_path, columns, dtype):
    data = columns > 0 if dtype == "bool" else np.abs(20 * columns).astype(dtype)
    if dtype in ("int64", "uint64"):
        data = data << 30
    model = fit("auto", data, network=Dense(widths=(8,)), n_latent=3)
    path = tmp_path / "table.narrows"
    foreign = ~data[:30] if data.dtype.kind in "biu" else data[:30] * data.dtype.type(-5)
    narrows.compress(np.concatenate([data[:30], foreign]), path, model=model)
    assert assert_same(path, model).dtype == dtype


def test_colour_images(tmp_path, colour_images, colour):
    path = tmp_path / "colour.narrows"
    narrows.compress(np.concatenate([colour_images[:30], noise(20, 16, 16, 3)]), path, model=colour)
    assert_same(path, colour)


def test_escapes_in_maps(tmp_path, float_images, float_map):
    path = tmp_path / "float.narrows"
    foreign = np.concatenate([noise(20, 16, 16, dtype=np.float32) * np.float32(factor) for factor in (0.1, 1e4)])
    narrows.compress(np.concatenate([float_images[:60], foreign]), path, model=float_map)
    assert_same(path, float_map)
    assert n_escape_bytes(path) > 100


# Archives with a bound


def walks(dtype, *shape, seed=0):
    """Return records whose values are near those beside them, as far as the type goes."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    steps = rng.normal(size=shape)
    for axis in range(1, len(shape)):
        steps = np.cumsum(steps, axis)
    if dtype.kind == "b":
        return steps > 0
    if dtype.kind == "f":
        return steps.astype(dtype)
    middle, wide = (0 if dtype.kind == "i" else 1 << (8 * dtype.itemsize - 1)), 2.0 ** min(8 * dtype.itemsize - 6, 20)
    return (steps * wide / 8).astype(np.int64).astype(dtype) + dtype.type(middle)


def extremes(dtype):
    """Return the values at the ends of a type, and those that are none."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array([True, False])
    if dtype.kind == "f":
        info = np.finfo(dtype)
        ends = [info.max, info.min, info.smallest_subnormal, info.tiny, np.nan, np.inf, -np.inf, -0.0]
        return np.array([*ends, -info.smallest_subnormal], dtype)
    return np.array([np.iinfo(dtype).max, np.iinfo(dtype).min, np.iinfo(dtype).max // 3], dtype)


def assert_same_rests(records, decoded, bound, *, with_smallest=False):
    """Both readers make the same of what is kept; return the kinds that were tried."""
    grid = ErrorBound(records.dtype, bound)
    tries = [encode_predicted(records, decoded, grid), encode_predicted(records, None, grid)]
    exact = tries[0] if bound == 0 else encode_predicted(records, decoded, ErrorBound(records.dtype, 0))
    tries.append(replace(exact, kind=Kind.EXACT))
    if with_smallest:
        tries.append(encode_chunk(records, decoded, 0, grid))
    header = SimpleNamespace(shape=records.shape[1:], dtype=records.dtype.newbyteorder("<"), max_error=float(bound))
    for kept in tries:
        residual = decoder.Residual(int(kept.kind), 0.0, kept.data)
        found = decoder.make_good(residual, decoded if kept.needs_code else None, len(records), header)
        assert (found.shape, found.dtype) == (records.shape, records.dtype)
        assert found.tobytes() == kept.restored.tobytes()
    return {kept.kind for kept in tries}


ALL_DTYPES = [
    "bool",
    *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
]
ALL_BOUNDS = [0, 0.3, 2, 40.5, 1e17]
ALL_SHAPES = [(1,), (10,), (1, 2, 1), (3, 4), (3, 3, 3), (2, 1, 2, 2, 2)]


@pytest.mark.parametrize("number", range(len(ALL_DTYPES)))
def test_rests_of_every_type_and_shape(number):
    dtype = ALL_DTYPES[number]
    for seed, shape in enumerate(ALL_SHAPES):
        bound = ALL_BOUNDS[(number + seed) % len(ALL_BOUNDS)]
        records = walks(dtype, 5, *shape, seed=seed)
        decoded = np.roll(records, 1, 0)
        if seed % 2:
            records.flat[: len(extremes(dtype))] = extremes(dtype)[: records.size]
        assert_same_rests(records, decoded, bound)


@pytest.mark.parametrize(
    ("dtype", "n", "shape"),
    [("uint8", 60, (6, 6)), ("float32", 30, (20,)), pytest.param("float64", 30, (2, 3, 3), marks=pytest.mark.slow)],
)
def test_rests_of_many_records(dtype, n, shape):
    records = walks(dtype, n, *shape)
    assert_same_rests(records, walks(dtype, n, *shape, seed=1), 1)
    noise = np.random.default_rng(0).integers(0, 256, (n, *shape, np.dtype(dtype).itemsize), np.uint8)
    noise = noise.view(dtype)[..., 0]
    assert Kind.PLAIN in assert_same_rests(noise, records, 0, with_smallest=True)
    assert Kind.ZSTD in assert_same_rests(np.repeat(noise[:3], n // 3, 0), records, 0, with_smallest=True)


def test_rests_of_several_lanes():
    records = noise(100, 6, 6)
    assert predicted.SIZES.unpack_from(encode_predicted(records, None, ErrorBound(records.dtype, 1)).data)[1] > 1
    assert_same_rests(records, noise(100, 6, 6, seed=1), 1)


@pytest.mark.parametrize("bound", [0, 60])
def test_images_with_a_bound(tmp_path, digits, auto, bound):
    path = tmp_path / "digits.narrows"
    images = digits[1][:270]
    narrows.compress(images[:260], path, model=auto, max_error=bound)
    narrows.compress(np.concatenate([images[260:], noise(9, 8, 8)]), path, model=auto, max_error=bound, append=True)
    back = assert_same(path, auto)
    assert np.abs(back[:270].astype(int) - images).max() <= bound
    assert kinds(path) <= {decoder.LINEAR, decoder.LOSSLESS, decoder.ZSTD, decoder.PLAIN}


@pytest.mark.parametrize("bound", [0, 900])
def test_uint16_colour_with_a_bound(tmp_path, colour_images, bound):
    images = (colour_images[:60].astype(np.uint16) << 8) + noise(60, 16, 16, 3)
    model = fit("auto", images, network=Dense(widths=(8,)), n_latent=3)
    path = tmp_path / "colour.narrows"
    narrows.compress(images[:12], path, model=model, max_error=bound)
    assert np.abs(assert_same(path, model).astype(int) - images[:12]).max() <= bound


@pytest.mark.parametrize("bound", [0, 1e-4, "5%"])
def test_series_and_fields_with_a_bound(tmp_path, columns, columns_model, float_images, float_map, bound):
    path = tmp_path / "table.narrows"
    for data, model in ((columns[:100], columns_model), (float_images[:20] + np.float32(0.1), float_map)):
        narrows.compress(data, path, model=model, max_error=bound, force=True)
        back = assert_same(path, model)
        allowed = 0.05 * np.ptp(data.astype(float)) if isinstance(bound, str) else bound
        assert np.abs(back.astype(float) - data).max() <= allowed


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_lossless_archives_of_values_at_the_ends_of_their_type(tmp_path, columns, dtype):
    data = columns[:90] > 0 if dtype == "bool" else (columns[:90] * 1e3).astype(dtype)
    model = fit("auto", data, network=Dense(widths=(8,)), n_latent=3)
    data = data.copy()
    data.flat[: len(extremes(dtype))] = extremes(dtype)
    path = tmp_path / "table.narrows"
    narrows.compress(data, path, model=model, lossless=True)
    assert assert_same(path, model).tobytes() == data.tobytes()
    assert decoder.open_archive(path).header.max_error == 0


@pytest.fixture(scope="module", params=[(8, 8), (6, 5, 3), (3, 6, 5)], ids=["gray", "channels last", "in front"])
def with_network(request, colour_images):
    """Return a model with a network of residuals, what it was trained on, and other images."""
    images = {2: colour_images[:, ::2, ::2, 0], 3: colour_images[:, 3:15:2, 3:13:2]}[len(request.param)]
    if request.param[0] == 3:
        images = np.moveaxis(images, -1, 1).copy()
    part = CausalNetwork(n_hidden=6, n_components=2, reach=2, epochs=1)
    with mock.patch("narrows.estimators.fitting.few_levels", return_value=None):
        return fit("auto", images[:200], residual=part, network=Dense(widths=(8,)), n_latent=3), images[200:212]


@pytest.fixture(scope="module")
def few_levels(digits):
    """Return a model with a network of residuals between few levels, and images, one of which has none."""
    part = CausalNetwork(n_hidden=6, n_components=2, reach=2, epochs=1)
    images = digits[1][:12].copy()
    images[3, 2:4] = [[7], [9]]
    return fit("auto", digits[0][:200], residual=part, network=Dense(widths=(8,)), n_latent=3), images


@pytest.mark.parametrize("bound", [0, 3])
@pytest.mark.parametrize("kind", [decoder.ON_LEVELS, decoder.LEVEL_GROUPS])
def test_images_of_few_levels(tmp_path, monkeypatch, few_levels, bound, kind):
    model, images = few_levels
    way = causally if kind == decoder.ON_LEVELS else in_groups
    monkeypatch.setattr("narrows.archive.chunk_encoding.encode_chunk", way)
    path, embed = tmp_path / "a.narrows", (bound == 0) == (kind == decoder.ON_LEVELS)
    narrows.compress(images, path, model=model, max_error=bound, embed_model=embed)
    np.testing.assert_array_equal(assert_same(path, None if embed else model), images)
    assert kinds(path) == {kind}


def causally(records, _decoded, _n_code, grid, causal, *, group_records):
    assert group_records
    return encode_predicted(records, None, grid, causal)


def causally_on_the_code(records, decoded, _n_code, grid, causal, *, group_records):
    assert group_records
    return encode_predicted(records, decoded, grid, causal)


def in_groups(records, _decoded, _n_code, grid, causal, *, group_records):
    return encode_groups(records, None, grid, causal, group_records)


def in_groups_on_the_code(records, decoded, _n_code, grid, causal, *, group_records):
    return encode_groups(records, decoded, grid, causal, group_records)


@pytest.mark.pairs
@pytest.mark.parametrize("way", [causally, causally_on_the_code, in_groups, in_groups_on_the_code])
@pytest.mark.parametrize("bound", [0, 3])
def test_images_under_a_network(tmp_path, monkeypatch, with_network, bound, way):
    model, images = with_network
    monkeypatch.setattr("narrows.archive.chunk_encoding.encode_chunk", way)
    path, embed = tmp_path / "a.narrows", (bound == 0) == way.__name__.endswith("on_the_code")
    narrows.compress(images, path, model=model, max_error=bound, embed_model=embed)
    back = assert_same(path, None if embed else model)
    assert np.abs(back.astype(int) - images).max() <= bound
    assert kinds(path) == {decoder.CAUSAL_GROUPS if "groups" in way.__name__ else decoder.CAUSAL}


def network_of(shape, dtype, seed):
    """Return a network of no training, for records of a shape, as narrows has it and as the other reader does."""
    rng = np.random.default_rng(seed)
    height, width, c = as_image(shape)[0]
    reach, h, k = 1 + seed % 3, 5, 3
    n = 2 * reach * (reach + 1) * c + c - 1
    highest = 1 if dtype == "bool" else np.iinfo(dtype).max
    drawn = {
        "weights_1": rng.integers(-9000, 9000, (c, n, h)) >> (4 if highest > 255 else 0),
        "rows": rng.integers(-(1 << 20), 1 << 20, (c, height, h)),
        "columns": rng.integers(-(1 << 20), 1 << 20, (c, width, h)),
        "weights_2": rng.integers(-9000, 9000, (c, h, h)),
        "biases_2": rng.integers(-(1 << 24), 1 << 24, (c, h)),
        "weights_3": rng.integers(-9000, 9000, (c, h, 3 * k)),
        "biases_3": rng.integers(-(1 << 24), 1 << 24, (c, 3 * k)),
        "shifts": np.array([8 if highest > 1 else 2, 14, 22, 10, 21]),
    }
    arrays = {name: one.astype(np.int16 if name.startswith("weights") else np.int64) for name, one in drawn.items()}
    network = FrozenNetwork(seed % 4 - 2, highest + seed % 4 - 2, reach, **arrays)
    settings = {"lowest": network.lowest, "highest": network.highest, "reach": reach, "golden": network.digest()}
    tensors = {f"causal.{name}": array for name, array in arrays.items()}
    return network, decoder.Network(settings, tensors, shape, np.dtype(dtype))


@pytest.mark.parametrize(
    ("dtype", "shape", "bound"),
    [
        *[("uint8", (5, 6), 0), ("uint8", (5, 6), 3), ("uint8", (4, 5, 2), 1), ("uint8", (3, 4, 6), 9)],
        *[("bool", (7, 3), 0), ("bool", (1, 9, 1), 2), ("uint8", (3, 3), 900), ("uint8", (6, 2, 4), 1e17)],
        *[("uint16", (5, 4), 0), ("uint16", (2, 3, 6), 2), ("uint16", (5, 4, 2), 40), ("uint16", (5, 4), 20000)],
    ],
)
@pytest.mark.parametrize("place", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_residuals_under_networks_of_every_type(monkeypatch, dtype, shape, bound, place):
    """With low bits too, which narrows reads and never writes; quickly, each number of them with half of the types."""
    raw_bits = (0, 1, 5, 56)[(place + len(shape) + int(bound)) % 4]
    network, other = network_of(shape, dtype, seed=len(dtype) + len(shape) + raw_bits)
    records, decoded = walks(dtype, 4, *shape), walks(dtype, 4, *shape, seed=1)
    grid = ErrorBound(records.dtype, bound)
    raw_bits = min(raw_bits, 58 - grid.step.bit_length())  # or steps would be too coarse
    lattice = predicted.lattice_of
    monkeypatch.setattr(predicted, "lattice_of", lambda *args: lattice(*args[:4], raw_bits))
    header = SimpleNamespace(shape=shape, dtype=records.dtype.newbyteorder("<"), max_error=float(bound))
    for code in (None, decoded):
        kept = encode_predicted(records, code, grid, network)
        found = decoder.make_good(decoder.Residual(decoder.CAUSAL, 0.0, kept.data), code, len(records), header, other)
        assert found.dtype == records.dtype
        assert found.tobytes() == kept.restored.tobytes()
        again = decode_chunk(Kind.CAUSAL, kept.data, code, grid, records.shape, causal=network)
        assert again.tobytes() == kept.restored.tobytes()


def test_golden_archives_with_a_bound():
    folder = Path(__file__).parents[1] / "golden" / "v1"
    for name, facts in json.loads((folder / "hashes.json").read_text())["archives"].items():
        if {"LINEAR", "EXACT", "ZSTD", "PLAIN", "CAUSAL"}.intersection(facts.get("kinds", ())):
            model = None if facts["model"] is None else read_frozen(folder / facts["model"])
            found = decoder.read(folder / name, None if model is None else model.blob)
            digest = hashlib.sha256(f"{found.dtype.name} {found.shape}\n".encode() + found.tobytes())
            assert digest.hexdigest() == facts["restored"]


def test_a_golden_archive_of_small_groups():
    folder = Path(__file__).parents[1] / "golden" / "v1"
    path = folder / "small-groups-embedded.narrows"
    facts = json.loads((folder / "hashes.json").read_text())["archives"][path.name]
    found = decoder.read(path)
    digest = hashlib.sha256(f"{found.dtype.name} {found.shape}\n".encode() + found.tobytes())
    assert digest.hexdigest() == facts["restored"]
    assert decoder.open_archive(path).header.group_records == 64
    assert [len(chunk.group_crcs) for chunk in chunks(path)] == [3, 1]


@pytest.mark.parametrize(
    ("name", "kind"), [("indices-map", "context"), ("indices-groups", "independent"), ("indices-dense", "independent")]
)
def test_golden_archives_of_indices(name, kind):
    folder = Path(__file__).parents[1] / "golden" / "v1"
    path = folder / f"{name}-embedded.narrows"
    facts = json.loads((folder / "hashes.json").read_text())["archives"][path.name]
    found = decoder.read(path)
    digest = hashlib.sha256(f"{found.dtype.name} {found.shape}\n".encode() + found.tobytes())
    assert digest.hexdigest() == facts["restored"]
    (quality,) = decoder.load_model(decoder.find_blob(decoder.open_archive(path), None)).qualities
    assert type(quality.entropy).__name__.lower() == kind


INDICES = {
    "map": {"network": STRIDED, "bottleneck": VectorQuantised(n_codes=20)},
    "groups": {"network": STRIDED, "bottleneck": VectorQuantised(n_codes=5, dim=1)},
    "dense": {"network": Dense(widths=(8,)), "bottleneck": VectorQuantised(n_codes=20), "n_latent": 6},
}


@pytest.mark.parametrize(
    ("code", "bound"),
    [
        pytest.param(code, bound, marks=() if (bound is None) == (code != "groups") else pytest.mark.slow)
        for code in INDICES
        for bound in (None, 3)
    ],
)
def test_vector_quantised_codes(tmp_path, large_digits, code, bound):
    model = fit("vq-vae", large_digits[0][:300], **INDICES[code])
    records = np.concatenate([large_digits[1][:90], noise(10, *large_digits[1].shape[1:])])
    narrows.compress(records, tmp_path / "a", model=model, max_error=bound)
    assert_same(tmp_path / "a", model)
    kind = model.codec_.qualities[0].entropy.name
    assert kind in {"independent", "context"}
    assert code != "dense" or kind == "independent"


def test_tiles_with_a_bound(tmp_path, map_model):
    path = tmp_path / "large.narrows"
    narrows.compress(noise(2, 37, 48), path, model=map_model, max_error=4, embed_model=True)
    assert path.read_bytes()[12:16] == bytes([decoder.TILES | decoder.BOUND | decoder.PARTS, 0, 0, 0])
    assert assert_same(path).shape == (2, 37, 48)


# Tiles


@pytest.mark.parametrize("overlap", [0, 1, 5])
def test_tiles_of_grey_images(tmp_path, map_model, overlap):
    path = tmp_path / "large.narrows"
    narrows.compress(noise(3, 37, 48), path, model=map_model, overlap=overlap)
    assert assert_same(path, map_model).shape == (3, 37, 48)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # which is right
@pytest.mark.parametrize("overlap", [0, 4])
def test_tiles_of_float_images(tmp_path, float_map, overlap):
    path = tmp_path / "large.narrows"
    narrows.compress(1e3 * noise(2, 33, 16, dtype=np.float32), path, model=float_map, overlap=overlap)
    assert_same(path, float_map)


def test_tiles_of_images_with_channels_in_front(tmp_path, colour_images):
    model = fit("codec", np.moveaxis(colour_images, -1, 1).copy(), network=STRIDED, **SMALL)
    for overlap in (0, 3):
        path = tmp_path / f"{overlap}.narrows"
        narrows.compress(noise(2, 3, 20, 40), path, model=model, overlap=overlap)
        assert assert_same(path, model).shape == (2, 3, 20, 40)


@pytest.mark.parametrize("kind", ["bool", "int64"])
def test_blended_tiles_of_other_types(tmp_path, large_digits, kind):
    data = large_digits[0][:200] > 7 if kind == "bool" else large_digits[0][:200].astype(np.int64) << 40
    model = fit("codec", data, network=STRIDED, **SMALL)
    path = tmp_path / "large.narrows"
    narrows.compress(data[:8].reshape(2, 64, 16), path, model=model, overlap=6)
    assert_same(path, model)


# Appended, embedded, named


def test_appended_archives(tmp_path, colour_images, colour):
    path = tmp_path / "colour.narrows"
    narrows.compress(colour_images[:60], path, model=colour)
    for seed in range(3):
        narrows.compress(noise(5, 16, 16, 3, seed=seed), path, model=colour, append=True)
    assert len(assert_same(path, colour)) == 75
    assert len(chunks(path)) == 4


@pytest.mark.filterwarnings("ignore:An append to:narrows.errors.DataWarning")
def test_interrupted_appends(tmp_path, colour_images, colour):
    path = tmp_path / "colour.narrows"
    narrows.compress(colour_images[:60], path, model=colour)
    for seed in range(2):
        n_old = path.stat().st_size
        narrows.compress(noise(5, 16, 16, 3, seed=seed), path, model=colour, append=True)
    data = path.read_bytes()
    for stop in (n_old + 3, n_old + 36, n_old + 200, len(data) - 60, len(data) - 1):
        path.write_bytes(data[:n_old] + bytes(36)[: stop - n_old] + data[n_old + 36 : stop])
        assert len(assert_same(path, colour)) == 65
    path.write_bytes(data[:n_old] + bytes(36) + data[n_old + 36 :])  # all but the APPEND block
    assert len(assert_same(path, colour)) == 70
    path.write_bytes(data[: n_old + 200])  # complete once, and cut off
    with pytest.raises(ValueError, match="trailer"):
        decoder.read(path)


def test_an_embedded_model(embedded):
    assert len(assert_same(embedded)) == 300
    assert n_escape_bytes(embedded)
    assert decoder.names(embedded) == [""] * 300


def test_an_embedded_model_and_appended_tiles(tmp_path, colour):
    path = tmp_path / "colour.narrows"
    narrows.compress(noise(2, 20, 30, 3), path, model=colour, embed_model=True, overlap=2)
    narrows.compress(noise(3, 20, 30, 3, seed=1), path, model=colour, append=True, overlap=2)
    assert assert_same(path).shape == (5, 20, 30, 3)


@pytest.mark.parametrize("shape", [(16, 16, 3), (30, 20, 3)])
def test_folders_of_images(tmp_path, colour, shape):
    stored = ["b.png", "ä ö.png", "sub/a.png", "sub/c d/e.png"]
    for number, name in enumerate(stored):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*shape, seed=number)).save(tmp_path / "images" / name)
    path = tmp_path / "images.narrows"
    narrows.compress(tmp_path / "images", path, model=colour)
    images = assert_same(path, colour)
    assert images.shape == (4, *shape)
    found = decoder.names(path)
    assert sorted(found) == sorted(stored)
    narrows.restore(path, model=colour, out=tmp_path / "back")
    for name, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "back" / name)), image)


# What is damaged


def test_every_damaged_byte_is_noticed(tmp_path, embedded):
    whole = embedded.read_bytes()
    path = tmp_path / "damaged.narrows"
    for position in {*range(32), *range(len(whole) - 40, len(whole)), *range(0, len(whole), len(whole) // 100)}:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"\w"):
            decoder.read(path)


def test_a_file_that_was_cut_is_refused(tmp_path, embedded):
    whole = embedded.read_bytes()
    path = tmp_path / "damaged.narrows"
    for length in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"\w"):
            decoder.read(path)


@pytest.mark.parametrize("value", [0, 3, 15, 48, 512, True, "256", None])
def test_groups_of_other_sizes_are_refused(embedded, value):
    with_group_records(embedded, value)
    with pytest.raises(ValueError, match="group_records"):
        decoder.read(embedded)


@pytest.mark.parametrize(
    ("bits", "words"), [(1, "uses tiles"), (2, "has a bound"), (4, "newer reader"), (1 << 31, "newer reader")]
)
def test_bits_that_the_metadata_do_not_need_are_refused(embedded, bits, words):
    data = embedded.read_bytes()
    n = 20 + int.from_bytes(data[16:20], "little")
    head = data[:12] + bits.to_bytes(4, "little") + data[16:n]
    embedded.write_bytes(head + zlib.crc32(head).to_bytes(4, "little") + data[n + 4 :])
    with pytest.raises(ValueError, match=words):
        decoder.read(embedded)


def test_a_model_is_needed_and_no_other(tmp_path, digits, auto, codec_model):
    path = tmp_path / "digits.narrows"
    narrows.compress(digits[1][:20], path, model=auto)
    with pytest.raises(ValueError, match="does not hold its model"):
        decoder.read(path)
    with pytest.raises(ValueError, match="another model"):
        decoder.read(path, codec_model.codec_.blob)


def test_golden_vectors_are_checked(columns_model):
    blob = columns_model.codec_.blob
    decoder.load_model(blob)
    start = 8 + struct.unpack("<Q", blob[:8])[0]
    entry = json.loads(blob[8:start])["output.offset"]
    damaged = bytearray(blob)
    damaged[start + entry["data_offsets"][1] - 2] ^= 1  # a high bit of the fraction
    assert hashlib.sha256(damaged).digest() != hashlib.sha256(blob).digest()
    with pytest.raises(ValueError, match="golden"):
        decoder.load_model(bytes(damaged))
