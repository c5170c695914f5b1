"""``narrows compress`` without a model, and the verbs that read what it writes."""

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from narrows.cli import main


@pytest.fixture
def field(narrows):
    """A smooth array of three axes, saved as x.npy."""
    array = np.cumsum(np.random.default_rng(0).normal(size=(9, 20, 30)), 1).astype(np.float32)
    np.save("x.npy", array)
    return array


def compress(narrows, *options):
    narrows("compress", "x.npy", "-o", "x.narrows", *options)


@pytest.mark.parametrize("options", [("--max-error", "1%"), ("--max-error", "0.2", "--as", "records"), ("--lossless",)])
def test_an_array_is_restored_within_its_bound_without_a_model(narrows, field, options):
    compress(narrows, *options)
    narrows("restore", "x.narrows", "-o", "y.npy", "--threads", "2")
    bound = 0.01 * np.ptp(field) if "1%" in options else 0.2 if "0.2" in options else 0
    restored = np.load("y.npy")
    assert restored.dtype == field.dtype
    assert np.abs(restored - field).max() <= bound


def test_slices_are_chosen_along_the_first_axis(narrows, field):
    compress(narrows, "--lossless")
    narrows("restore", "x.narrows", "-o", "y.npy", "--only", "3:5")
    assert np.load("y.npy").tobytes() == field[3:5].tobytes()


def test_a_field_stands_in_a_pipe(narrows, field):
    packed = CliRunner().invoke(main, ["compress", "-", "-o", "-", "--lossless"], input=Path("x.npy").read_bytes())
    assert packed.exit_code == 0, packed.stderr
    restored = CliRunner().invoke(main, ["restore", "-", "-o", "-"], input=packed.stdout_bytes)
    assert restored.exit_code == 0, restored.stderr
    assert np.load(io.BytesIO(restored.stdout_bytes)).tobytes() == field.tobytes()


def test_no_verb_asks_for_a_model(narrows, field):
    compress(narrows, "--lossless")
    assert "none is needed" in narrows("info", "x.narrows").stdout
    assert narrows.json("info", "x.narrows")["needs_model"] is False
    assert "is intact" in narrows("verify", "x.narrows").stdout
    said = narrows("recover", "x.narrows", "-o", "saved.narrows").stdout
    assert "was not damaged" in said
    assert "model" not in said
    narrows("restore", "saved.narrows", "-o", "y.npy")
    assert np.load("y.npy").tobytes() == field.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing option '-m'"),
        (("--lossless", "--effort", "1"), "--effort needs a model"),
        (("--lossless", "--embed-model"), "--embed-model needs a model"),
        (("--lossless", "--append"), "--append needs a model"),
        (("--max-error", "1", "--chunk-records", "4"), "--chunk-records needs a model"),
        (("--lossless", "--threads", "0"), "--threads"),
    ],
)
def test_options_that_need_a_model_are_refused_by_name(narrows, field, options, message):
    assert message in narrows("compress", "x.npy", "-o", "x.narrows", *options, code=2).stderr
    assert not Path("x.narrows").exists()


def test_as_is_refused_with_a_model(narrows, compressor):
    options = ("compress", "digits:test", "-m", compressor, "-o", "x.narrows", "--as", "records")
    assert "Omit it, or -m" in narrows(*options, code=2).stderr


def test_blocks_are_called_blocks(narrows, field):
    compress(narrows, "--max-error", "1%")
    assert "x.narrows is intact: 1 block, " in narrows("verify", "x.narrows").stdout
    assert "Every block was restored" in narrows("verify", "x.narrows").stdout
    assert "compressing (1 block)" in narrows("compress", "x.npy", "-o", "y.narrows", "--lossless").stderr
    data = bytearray(Path("x.narrows").read_bytes())
    data[len(data) // 2] ^= 1
    Path("x.narrows").write_bytes(data)
    damaged = narrows("verify", "x.narrows", code=1).stdout
    assert "Intact: 0 blocks of 1." in damaged
    assert "Lost: block 0." in damaged
    assert narrows.json("verify", "y.narrows")["unit"] == "block"


def test_an_archive_that_does_not_exist_is_not_called_a_model(narrows):
    said = narrows("info", "no-such.narrows", code=1).stderr
    assert "There is no file no-such.narrows." in said
    assert "model" not in said


def test_the_psnr_of_a_field_names_its_range(narrows, field):
    said = narrows("compress", "x.npy", "-o", "x.narrows", "--max-error", "1%").stdout
    assert f"over the records' own range {field.min():.6g} to {field.max():.6g}" in said
    assert "rounded, by zstd -19, at " in said
    assert "ratio to zstd" not in narrows("compress", "x.npy", "-o", "y.narrows", "--max-error", "1%", "-q").stdout
