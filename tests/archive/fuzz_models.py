"""Models damaged in every way there is, and made to deceive: what is read is a codec that works, or an error by name.

As part of the tests some hundreds; by itself as many as you like, here with seed 7::

    python tests/archive/fuzz_models.py 20000 7
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from narrows.archive import open_archive, verify
from narrows.codec import FrozenCodec, frozen, read_frozen
from narrows.codec.operations import Argmax, Branches, Clip, Codebook, Operation, Reshape
from narrows.codec.program import Program
from narrows.codec.residual.causal import FrozenCausal
from narrows.codec.residual.chunk import decode_chunk
from narrows.codec.residual.coded import Kind
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.predicted import encode_predicted
from narrows.errors import NarrowsError

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
NAMES = ("dense-codec", "map-codec", "ladder", "table")
OF_INDICES = ("indices-map-embedded", "indices-groups-embedded", "indices-dense-embedded")
WITH_NETWORK = ("bounded-uint8-0-causal", "bounded-uint8-3-causal-on-code")
KEY = "narrows_codec"
MAX_SECONDS = 5.0
MAX_BYTES = 1 << 30
N_PROBES = 20

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    15,
    16,
    62,
    63,
    255,
    1 << 15,
    1 << 16,
    1 << 26,
    (1 << 31) - 1,
    1 << 32,
    1 << 53,
    1 << 63,
    1 << 70,
)
DTYPES = ("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F4", "I16", "U16", "F16", "BF16", "F32", "I64", "U64", "C64")
OTHERS = (None, True, False, 0.5, -0.0, 1e300, "", "x", "float64", [], [1], [[]], {}, {"kind": "rectify"})


class WrongOutcomeError(AssertionError):
    """Neither a codec that works nor an error by name."""


@functools.cache
def blobs() -> list[bytes]:
    """Return the frozen models of the golden files: whole, of one quality alone, of indices, and with a network."""
    found = []
    for name in NAMES:
        codec = read_frozen(GOLDEN / f"{name}.safetensors")
        found += [codec.blob, codec.only(0).blob, codec.only(len(codec.qualities) - 1).blob]
    for name, times in [*((name, 1) for name in OF_INDICES), *((name, 3) for name in WITH_NETWORK)]:
        with open_archive(GOLDEN / f"{name}.narrows") as archive:
            found += [archive._codec.blob] * times
    return [with_branches(found[0]), with_branches(found[3]), with_categories(found[0]), *found]


def with_branches(blob: bytes) -> bytes:
    """Return the blob of a model whose decoder is added to itself, clipped, and to what clipped codes become."""
    codec = FrozenCodec.from_bytes(blob)
    of_decoder = codec.program.operations
    branches = Branches((of_decoder, (Clip(-300, 900), *of_decoder), (*of_decoder, Clip(-5, 5))), (1, 0, 3), 2)
    return with_operations(codec, [branches, Clip(-30000, 32767)])


def with_categories(blob: bytes) -> bytes:
    """Return the blob of a model whose outputs become scores, and these a category for each value but one."""
    codec = FrozenCodec.from_bytes(blob)
    n = codec.output.n_values
    scores = Codebook(np.random.default_rng(0).integers(-9, 9, (300, 3)).astype(np.int16))
    lengths = np.full(n, 3, np.int32)
    lengths[0:3] = 1, 2, 6
    after = [Reshape((n,)), scores, Reshape((3 * n,)), Argmax(lengths)]
    return with_operations(codec, [*codec.program.operations, *after])


def with_operations(codec: FrozenCodec, operations: list[Operation]) -> bytes:
    """Return the blob of a codec with another decoder."""
    settings = {name: getattr(codec, name) for name in ("z_shape", "peak", "default", "golden")}
    return FrozenCodec(Program(codec.program.in_shape, operations), codec.output, codec.qualities, **settings).blob


def parts(blob: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and tensors."""
    length = int.from_bytes(blob[:8], "little")
    return json.loads(json.loads(blob[8 : 8 + length])["__metadata__"][KEY]), load(blob)


def joined(header: Any, tensors: dict[str, np.ndarray]) -> bytes:
    """Return the blob of these parts, with the right checksum of the tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].tobytes())
    header = {**header, "sha256": digest.hexdigest()} if isinstance(header, dict) else header
    whole = {name: np.ascontiguousarray(tensor).reshape(tensor.shape) for name, tensor in tensors.items()}
    return save(whole, {KEY: json.dumps(header)})


# -------------------------------------------------------------------------------------------------------- mutations


def flip(blob, rng, _):
    changed = bytearray(blob)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(blob))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_in_the_header(blob, rng, _):
    changed = bytearray(blob)
    changed[rng.randrange(8 + int.from_bytes(blob[:8], "little"))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(blob, rng, _):
    return blob[: rng.randrange(len(blob))]


def take_out(blob, rng, _):
    start = rng.randrange(len(blob))
    return blob[:start] + blob[start + rng.choice((1, 8, 64)) :]


def put_in(blob, rng, _):
    start = rng.randrange(len(blob) + 1)
    return blob[:start] + rng.randbytes(rng.choice((1, 8, 64))) + blob[start:]


def splice(blob, rng, others):
    """The beginning of one, the end of another."""
    other = rng.choice(others)
    return blob[: rng.randrange(len(blob))] + other[rng.randrange(len(other)) :]


def forge_an_offset(blob, rng, _):
    """Change a number in the outer header: shapes, places, the length."""
    length = int.from_bytes(blob[:8], "little")
    if rng.random() < 0.1:
        return (
            rng.choice((0, 1, length + 1, length - 8, len(blob), 1 << 40, (1 << 64) - 1)).to_bytes(8, "little")
            + blob[8:]
        )
    outer = json.loads(blob[8 : 8 + length])
    names = [name for name in outer if name != "__metadata__"]
    entry = outer["frozen" if "frozen" in outer and rng.random() < 0.5 else rng.choice(names)]
    key = rng.choice(("dtype", "shape", "data_offsets"))
    entry[key] = rng.choice(DTYPES) if key == "dtype" else other_value(entry[key], rng)
    text = json.dumps(outer).encode()
    return len(text).to_bytes(8, "little") + text + blob[8 + length :]


def forge_the_json(blob, rng, _):
    """Change entries of the inner header."""
    header, tensors = parts(blob)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice(list(entries(header)))
        inner = header
        for key in at[:-1]:
            inner = inner[key]
        if rng.random() < 0.1:
            del inner[at[-1]]
        else:
            inner[at[-1]] = other_value(inner[at[-1]], rng)
    return joined(header, tensors)


def forge_the_operations(blob, rng, others):
    """Leave operations out, double them, bring them into another order, take some of another model."""
    header, tensors = parts(blob)
    program = rng.choice([header["decoder"], *(quality["rescale"] for quality in header["qualities"])])
    operations = program["operations"]
    beside = [one for one in operations if one["kind"] == "branches"]
    if beside and rng.random() < 0.7:
        operations = rng.choice(rng.choice(beside)["branches"])
    kind = rng.randrange(8)
    at = rng.randrange(len(operations))
    if kind == 0:
        del operations[at]
    elif kind == 1:
        operations[at:at] = [operations[at]] * rng.choice((1, 10, 999))
    elif kind == 2:
        rng.shuffle(operations)
    elif kind == 3:
        other, more = parts(rng.choice(others))
        operations[at:] = other["decoder"]["operations"]
        tensors = {**more, **tensors}
    elif kind == 4:
        cut = rng.randrange(at, len(operations)) + 1
        operations[at:cut] = [branches_of(operations[at:cut], rng)]
    elif kind == 5:
        low = rng.choice((-40000, -32768, -5, 0))
        operations[at:at] = [{"kind": "clip", "low": low, "high": low + rng.choice((-1, 0, 9, 32768, 65535))}]
    elif kind == 6:
        lengths = [rng.choice((-1, 0, 1, 2, 5, 64, 1 << 15, (1 << 15) + 1)) for _ in range(rng.choice((1, 2, 64)))]
        tensors = {**tensors, "decoder.new": np.array(lengths, np.int32)}
        operations[at:at] = [{"kind": "argmax", "lengths": "new"}]
    else:
        shape = [rng.choice((1, 2, 4, 8192)) for _ in range(rng.choice((1, 3)))]
        operations[at:at] = [
            rng.choice(
                ({"kind": "upsample", "size": shape[:2]}, {"kind": "reshape", "shape": shape}, {"kind": "rectify"})
            )
        ]
    return joined(header, tensors)


def branches_of(operations: list[Any], rng: random.Random) -> dict[str, Any]:
    """Return an operation whose branches may well be some: others, none, or these operations."""
    rows = [rng.choice((operations, operations, operations[:1], [])) for _ in range(rng.choice((1, 2, 2, 3, 8, 9)))]
    shifts = [rng.choice((0, 0, 1, 31, 32, 33)) for _ in rows]
    return {"kind": "branches", "branches": rows, "shifts": shifts, "shift": rng.choice((0, 1, 9, 33, 53, 54, 62))}


def forge_a_tensor(blob, rng, _):
    """Change values, the shape or the type of a tensor."""
    header, tensors = parts(blob)
    name = rng.choice(sorted(tensors))
    tensor, kind = tensors[name].copy(), rng.randrange(6)
    flat = tensor.reshape(-1)
    if kind <= 2 and flat.size:
        limits = np.iinfo(tensor.dtype) if tensor.dtype.kind in "iu" else np.finfo(tensor.dtype)
        flat[rng.randrange(flat.size)] = rng.choice((0, 1, limits.max, limits.min, limits.max // 2))
    elif kind == 3 and flat.size:
        flat.view(np.uint8)[rng.randrange(flat.nbytes)] ^= 1 << rng.randrange(8)
    elif kind == 4:
        tensor = rng.choice((flat[: rng.randrange(flat.size + 1)], flat, tensor[None], np.repeat(flat, 2), flat[:0]))
    elif kind == 5:
        tensor = tensor.astype(rng.choice((np.int16, np.int32, np.int64, np.uint16, np.float64, np.uint8)))
    return joined(header, {**tensors, name: tensor})


def forge_many_numbers(blob, rng, _):
    """Give a tensor random values throughout."""
    header, tensors = parts(blob)
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    return joined(
        header, {**tensors, name: np.frombuffer(rng.randbytes(tensor.nbytes), tensor.dtype).reshape(tensor.shape)}
    )


def forge_the_network(blob, rng, _):
    """Change settings or tensors of the network of residuals, or put another of any size in its place."""
    header, tensors = parts(blob)
    kind = rng.randrange(5)
    name = rng.choice(sorted(name for name in tensors if name.startswith("causal.")))
    if kind == 0:
        key = rng.choice(sorted(header["causal"]))
        header["causal"][key] = other_value(header["causal"][key], rng)
    elif kind == 1:
        flat = tensors[name].copy().reshape(-1)
        limits = np.iinfo(flat.dtype)
        for _ in range(rng.choice((1, 1, 9))):
            flat[rng.randrange(flat.size)] = rng.choice((0, 1, 52, limits.max, limits.min, limits.max >> 11))
        tensors[name] = flat.reshape(tensors[name].shape)
    elif kind == 2:
        numbers = np.frombuffer(rng.randbytes(tensors[name].nbytes), tensors[name].dtype)
        tensors[name] = (numbers >> rng.randrange(8 * numbers.itemsize)).reshape(tensors[name].shape)
    elif kind == 3:
        del tensors[name]
    else:
        tensors |= other_network(header, tensors, rng)
    return joined(header, tensors)


def other_network(header: Any, tensors: dict[str, np.ndarray], rng: random.Random) -> dict[str, np.ndarray]:
    """Return tensors of a network that may well be one; write its settings to the header."""
    channels, height, _ = tensors["causal.rows"].shape
    width = tensors["causal.columns"].shape[1]
    reach, hidden, k = rng.choice((1, 2, 5, 16)), rng.choice((1, 7, 64, 128)), rng.choice((1, 2, 16))
    numbers = np.random.default_rng(rng.getrandbits(32))
    n = 2 * reach * (reach + 1) * channels + channels - 1
    highest = rng.choice((1, 255, 1000, 65535))
    low = rng.choice((0, 0, -5, -(1 << 31), 1 << 31))
    header["causal"] |= {"lowest": low, "highest": low + highest, "reach": reach}
    wide, most = 1 << rng.randrange(1, 15), 1 << rng.randrange(1, 52)
    weights = {"weights_1": (n, hidden), "weights_2": (hidden, hidden), "weights_3": (hidden, 3 * k)}
    biases = {"rows": (height, hidden), "columns": (width, hidden), "biases_2": (hidden,), "biases_3": (3 * k,)}
    drawn = {
        **{name: numbers.integers(-wide, wide, (channels, *shape), np.int16) for name, shape in weights.items()},
        **{name: numbers.integers(-most, most, (channels, *shape)) for name, shape in biases.items()},
        "shifts": np.array([rng.choice((0, 4, 9, 16, 24, 40, 52)) for _ in range(5)]),
    }
    return {f"causal.{name}": tensor for name, tensor in drawn.items()}


def mix(blob, rng, others):
    """Header of one model, tensors of another; or some of each."""
    header, tensors = parts(blob)
    other, more = parts(rng.choice(others))
    if rng.random() < 0.5:
        return joined(header, {**tensors, **{name: one for name, one in more.items() if rng.random() < 0.3}})
    key = rng.choice(sorted(header))
    return joined({**header, key: other.get(key)}, {**more, **tensors})


def entries(values: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Go through all entries of JSON values, by path."""
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in children:
        yield (*at, key)
        yield from entries(value, (*at, key))


def other_value(old: Any, rng: random.Random) -> Any:
    """Return something else in the place of a JSON value: most often of the same kind."""
    if rng.random() < 0.15:
        return rng.choice(OTHERS)
    if isinstance(old, bool) or old is None:
        return rng.choice(OTHERS)
    if isinstance(old, int):
        return rng.choice((old + 1, old - 1, 2 * old, -old, old // 2, *NUMBERS))
    if isinstance(old, float):
        return rng.choice((old + 1, -old, 0, 1e308, *NUMBERS))
    if isinstance(old, str):
        return rng.choice((old[:-1], old[::-1], f"{old}0", "dense", "rescale", "upsample", "independent", "0.weights"))
    if isinstance(old, list) and old:
        at = rng.randrange(len(old))
        return rng.choice(
            (
                old[:at],
                old + old[at:],
                old[::-1],
                [*old[:at], other_value(old[at], rng), *old[at + 1 :]],
                old * rng.choice((2, 9)),
            )
        )
    return rng.choice(OTHERS)


UNCHANGEABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError)
DAMAGE = (flip, flip_in_the_header, cut, take_out, put_in, splice)
FORGERIES = (
    *(forge_an_offset, forge_the_json, forge_the_json, forge_the_json, forge_the_operations),
    *(forge_a_tensor, forge_a_tensor, forge_many_numbers, mix),
)


def mutate(blob: bytes, rng: random.Random, others: list[bytes]) -> tuple[str, bytes]:
    """Return the name of what was done, and the blob."""
    step: Callable[..., bytes] = rng.choice(DAMAGE if rng.random() < 0.25 else FORGERIES)
    if b'"causal.rows"' in blob and rng.random() < 0.6:
        step = forge_the_network
    data = step(blob, rng, others)
    if rng.random() < 0.2:
        with suppress(SafetensorError, *UNCHANGEABLE):  # nothing is left that this step could change
            data = rng.choice(FORGERIES)(data, rng, others)
    return step.__name__, data


# -------------------------------------------------------------------------------------------------------- judgement


def judge(blob: bytes, original: bytes, rng: random.Random) -> str:
    """Return what came of a blob: the name of the error, ``"same"`` or ``"other"``, as it restores.

    Raises
    ------
    WrongOutcomeError
        If a codec that was read does not work, or does not come back from its own bytes.
    """
    # Whoever makes a model can have its golden vectors come out right as well.
    forged = mock.patch.object(FrozenCodec, "_prove", _believe) if rng.random() < 0.5 else nullcontext()
    with forged:
        try:
            codec = FrozenCodec.from_bytes(blob)
        except NarrowsError as error:
            return type(error).__name__
        outcomes = [_use(codec, quality, rng) for quality in range(len(codec.qualities))]
        outcomes.append(_use_network(codec, rng, is_forged=not isinstance(forged, nullcontext)))
    wrong = next((outcome for outcome in outcomes if outcome != "right"), None)
    if wrong is not None:
        return f"{wrong}, when used"
    again = FrozenCodec.from_bytes(codec.to_bytes())
    if again.to_bytes() != codec.to_bytes():
        raise WrongOutcomeError("what was read is not written as it is read")
    return "same" if codec.digest == hashlib.sha256(original).hexdigest() else "other"


def _believe(self: FrozenCodec, quality: int) -> None:
    """Replay golden vectors, and take what comes out for right."""
    if self._unproved.pop(quality, None) is not None:
        with frozen.naming_damage():
            self._replay(quality, self._backend)


def _use(codec: FrozenCodec, quality: int, rng: random.Random) -> str:
    """Encode, decode and restore what may come: the same with whole numbers of either kind."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    symbols = np.rint(numbers.normal(scale=4, size=(N_PROBES, codec.n_symbols))).astype(np.int32)
    symbols[::7] = numbers.integers(-32767, 32768, symbols[::7].shape)
    try:
        records = codec.decode(symbols, quality)
        coded = codec.qualities[quality].entropy.encode(symbols)
        back = codec.qualities[quality].entropy.decode(coded, N_PROBES)
    except NarrowsError as error:
        return type(error).__name__
    if not np.array_equal(back, symbols):
        raise WrongOutcomeError("symbols do not come back")
    if (records.shape, records.dtype) != ((N_PROBES, *codec.shape), codec.dtype):
        raise WrongOutcomeError("records have another shape or type")
    if records.dtype.kind == "f" and not np.isfinite(records).all():
        raise WrongOutcomeError("records are not finite")
    if codec.decode(symbols[:3], quality, backend="int64").tobytes() != records[:3].tobytes():
        raise WrongOutcomeError("float64 and int64 restore different records")
    return "right"


def _use_network(codec: FrozenCodec, rng: random.Random, *, is_forged: bool) -> str:
    """Keep some records under the network of residuals: they come back, from whole numbers of either kind."""
    if is_forged and codec._causal is not None:
        codec._unproved_causal = codec._causal.digest()
    try:
        network = codec.causal
    except NarrowsError as error:
        return type(error).__name__
    if network is None:
        return "right"
    numbers = np.random.default_rng(rng.getrandbits(32))
    records = numbers.integers(0, 1 + np.iinfo(codec.dtype).max, (5, *codec.shape)).astype(codec.dtype)
    decoded = np.roll(records, 1, 0) if rng.random() < 0.5 else None
    grid = ErrorBound(codec.dtype, rng.choice((0, 0, 1, 7, 1000, 1e17)))
    kept = encode_predicted(records, decoded, grid, network)
    back = decode_chunk(Kind.CAUSAL, kept.data, decoded, grid, records.shape, causal=network)
    if back.tobytes() != kept.restored.tobytes() or np.abs(back.astype(np.int64) - records).max() > grid.max_error:
        raise WrongOutcomeError("records kept under the network do not come back")
    if network.weights_1.size > 1 << 14:  # whole numbers of 64 bits are slow
        return "right"
    start = FrozenCausal.start
    with mock.patch.object(FrozenCausal, "start", lambda self, lattice: start(self, lattice, dtype=np.int64)):
        again = decode_chunk(Kind.CAUSAL, kept.data, decoded, grid, records.shape, causal=network)
    if again.tobytes() != back.tobytes():
        raise WrongOutcomeError("float64 and int64 say different things of records")
    return "right"


def judge_file(path: Path, blob: bytes, archive: Path) -> None:
    """Read a model file, and an archive with it: nothing but errors by name."""
    path.write_bytes(blob)
    for attempt in (
        lambda: read_frozen(path),
        lambda: open_archive(archive, model=path).close(),
        lambda: verify(archive, model=path),
    ):
        try:
            attempt()
        except NarrowsError:
            continue


def run(n: int, seed: int = 0, *, watch: Callable[[str], None] | None = None) -> Counter:
    """Put n damaged models to the test and count what came of them.

    Raises
    ------
    WrongOutcomeError
        With the seed and the number of the input, at the first that fails.
    """
    originals, counts, slowest = blobs(), Counter(), 0.0
    files = [(GOLDEN / f"{name}.safetensors").read_bytes() for name in NAMES]
    archives = [GOLDEN / f"{name}.narrows" for name in NAMES]
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(n):
            rng = random.Random(f"{seed}/{i}")
            original = rng.choice(originals)
            name, data = mutate(original, rng, originals)
            started = time.process_time()
            try:
                outcome = judge(data, original, rng)
                if i % 10 == 0:
                    at = rng.randrange(len(files))
                    judge_file(Path(scratch) / "model", in_a_file(files[at], data, rng), archives[at])
            except Exception as error:
                kept = Path(tempfile.gettempdir()) / f"fuzz-models-{seed}-{i}.blob"
                kept.write_bytes(data)
                raise WrongOutcomeError(f"seed {seed}, input {i} ({name}, kept as {kept}): {error!r}") from error
            seconds = time.process_time() - started
            if seconds > MAX_SECONDS:
                raise WrongOutcomeError(f"seed {seed}, input {i} ({name}) took {seconds:.1f} s")
            slowest = max(slowest, seconds)
            counts[name, outcome] += 1
            if watch is not None and (i + 1) % 1000 == 0:
                watch(f"{i + 1:,} inputs, slowest {slowest:.3f} s")
    return counts


def in_a_file(file: bytes, blob: bytes, rng: random.Random) -> bytes:
    """Return a model file that holds another blob, or is damaged itself."""
    if rng.random() < 0.5:
        return rng.choice((*DAMAGE, *[forge_an_offset] * 6))(file, rng, [blob])
    length = int.from_bytes(file[:8], "little")
    metadata = json.loads(file[8 : 8 + length])["__metadata__"]
    return save({**load(file), "frozen": np.frombuffer(blob, np.uint8)}, metadata)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run from the command line: the number of inputs, the seed."""
    n, seed = (int(word) for word in (*sys.argv[1:], *("20000", "0")[len(sys.argv) - 1 :])[:2])
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    except ImportError:
        pass
    started = time.perf_counter()
    counts = run(n, seed, watch=_say)
    for (name, outcome), count in sorted(counts.items()):
        _say(f"{count:>8,}  {name:<24}{outcome}")
    _say(f"{n:,} inputs in {time.perf_counter() - started:.0f} s: each a codec that works or an error by name")


if __name__ == "__main__":
    main()
