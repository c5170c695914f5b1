"""``narrows demo``: the first thing a newcomer sees."""

import math
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package
from narrows.archive import inspect
from narrows.archive.summary import Summary
from narrows.cli.demo import FILES
from narrows.cli.demo_archives import Archives, archive_lines
from narrows.data import Source
from narrows.data import open as open_data
from narrows.errors import ArchiveError


@pytest.fixture
def short_training(monkeypatch):
    recipe = package.recipe
    monkeypatch.setattr(package, "recipe", lambda name, **changes: recipe(name, training__epochs=3, **changes))
    kind, settings = package.AutoencoderOutlier, {"training": package.Training(epochs=2), "random_state": 0}
    monkeypatch.setattr(package, "AutoencoderOutlier", lambda **_: kind(**settings))


@pytest.mark.usefixtures("short_training", "few_digits", "fine_pictures")
def test_the_demo_writes_model_pictures_archives_and_report_and_what_it_prints_works(narrows):
    result = narrows("demo")
    assert {path.name for path in Path("demo").iterdir()} == {*FILES, "README.txt"}
    readme = Path("demo/README.txt").read_text()
    assert all(f"demo/{name}" in result.stdout and name in readme for name in FILES)
    assert "PCA with 16 components" in result.stdout
    assert "epoch 3/3" in result.stderr

    check_archives(result.stdout)
    check_table(result.stdout)

    commands = [line.strip() for line in result.stdout.splitlines() if line.startswith("  narrows ")]
    verbs = {shlex.split(command)[1] for command in commands}
    assert verbs >= {"info", "evaluate", "encode", "compress", "restore", "verify", "train", "picture"}
    for command in commands:
        if "YOUR_DATA" not in command:
            quicker = command.replace("--epochs 50", "--epochs 2")
            narrows(*shlex.split(quicker)[1:])
    assert len(list(Path("images").iterdir())) == 360


def check_archives(printed: str) -> None:
    """Both archives restore, one of them by itself, to what the demo says."""
    test, model = open_data("digits:test").values, "demo/model.safetensors"
    restored = np.load("demo/restored.npy")
    np.testing.assert_array_equal(restored, package.restore("demo/digits.narrows", model=model))
    assert (restored.shape, restored.dtype) == (test.shape, test.dtype)
    np.testing.assert_array_equal(restored, package.restore("demo/digits.narrows"))  # its model lies beside it
    os.makedirs("alone")
    shutil.copy("demo/digits.narrows", "alone")
    with pytest.raises(ArchiveError):
        package.restore("alone/digits.narrows")

    everything = package.restore("demo/all.narrows")
    assert everything.shape == (360, 8, 8)
    np.testing.assert_array_equal(everything[-120:], restored)
    whole = np.concatenate([open_data("digits:train").values, test])
    _, few_db, _, all_db = row(printed, "narrows, without model")
    assert (few_db, all_db) == (psnr(test, restored), psnr(whole, everything))
    with Image.open("demo/qualities.png") as picture:
        assert picture.width > 1000


def check_table(printed: str) -> None:
    """The table's numbers are the sizes of the files."""
    apart, inside = row(printed, "narrows, without model"), row(printed, "narrows, with model")
    n_bytes = {name: Path("demo", name).stat().st_size for name in ("digits.narrows", "all.narrows")}
    model_bytes = inspect("demo/all.narrows").model_bytes
    assert apart[0] == f"{n_bytes['digits.narrows'] / 120:.1f}"
    assert inside[2] == f"{n_bytes['all.narrows'] / 360:.1f}"
    assert float(apart[2]) == pytest.approx((n_bytes["all.narrows"] - model_bytes) / 360, abs=0.2)
    named = 2 * len(',"model_file":"0123456789ab"')  # in the header and its copy
    assert float(inside[0]) == pytest.approx((n_bytes["digits.narrows"] + model_bytes + named) / 120, abs=0.6)
    assert row(printed, "uncompressed") == ["64.0", "exact", "64.0", "exact"]
    for others in ("PNG, a file each", "zstd -19, a file each", "zstd -19, all in one"):
        few, first, many, second = row(printed, others)
        assert first == second == "exact"
        assert float(few) > 0
        assert float(many) > 0
    assert re.search(r"The model takes [\d,]+ bytes, ", printed)
    found = inspect("demo/digits.narrows")
    fixed = found.header_bytes + found.index_bytes
    said = f"Of the {apart[0]} bytes of an unseen digit, {fixed / 120:.1f} are its share of the archive's header"
    assert (said in printed) == (fixed > 0.1 * found.n_bytes)


def row(printed: str, name: str) -> list[str]:
    (line,) = (line for line in printed.splitlines() if line.startswith(f"  {name} "))
    return re.split(r"\s{2,}", line.strip())[1:]


def psnr(x, restored) -> str:
    error = np.subtract(x, restored, dtype=np.float64)
    return f"{10 * math.log10(255**2 / np.mean(error**2)):.1f} dB"


@pytest.mark.parametrize(
    ("raw_bytes_each", "n_bytes", "said"),
    [
        (64, 360 * 70, "never pays for itself on records as small as these"),
        (64, 360 * 10, "too many for 360 records as small as these"),
        (64_000, 360 * 10, "and has paid for itself"),
    ],
)
def test_whether_the_model_is_worth_its_bytes_is_said_of_every_case(raw_bytes_each, n_bytes, said):
    x = np.random.default_rng(0).integers(0, 256, (360, 8, 8), dtype=np.uint8)
    summary = Summary(
        path="x.narrows", records=360, total_records=360, n_bytes=n_bytes, raw_bytes=360 * raw_bytes_each, psnr_db=None,
        max_error=0, expected_psnr_db=20, expected_bytes_per_record=9, model_bytes=50_000, model_embedded=False,
        unlike=0, warnings=(), sample=x.tobytes(),
    )  # fmt: skip
    digits = Source(x)
    archives = Archives(summary, summary, summary, summary)
    assert said in "\n".join(archive_lines(archives, digits, digits))


def test_files_are_replaced_that_a_demo_made_and_others_only_by_force(narrows, monkeypatch, small_demo):
    Path("map.png").write_bytes(b"mine")
    Path("digits.narrows").write_bytes(b"mine")
    refused = narrows("demo", "-o", ".", code=1)
    assert "already contains map.png, digits.narrows, not written by `narrows demo`" in refused.stderr
    assert {path.name for path in Path().iterdir()} == {"map.png", "digits.narrows"}
    monkeypatch.setattr("narrows.cli.demo._write", lambda *arguments: None)
    assert narrows("demo", "-o", ".", "--force", "--quiet").stderr == ""
    assert Path("digits.narrows").read_bytes() != b"mine"
    before = Path("all.narrows").read_bytes()
    Path("all.narrows").write_bytes(b"")
    narrows("demo", "-o", ".")  # now they are a demo's
    assert Path("all.narrows").read_bytes() == before


def test_a_file_is_no_folder(narrows):
    Path("demo").write_bytes(b"")
    assert "is a file" in narrows("demo", code=1).stderr
