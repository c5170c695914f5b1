"""`compress --dry-run` shows what each quality of a model would yield, and `--quality K` picks one."""

from pathlib import Path

import pytest


def test_a_dry_run_writes_nothing_and_shows_each_quality(narrows, compressor):
    text = narrows("compress", "digits:test", "-m", compressor, "--dry-run", "--max-error", "5%").stdout
    assert list(Path().iterdir()) == []
    lines = text.splitlines()
    n = len(narrows.json("info", compressor)["qualities"])
    assert lines[0] == f"digits:test: 360 records of 8×8 uint8, with {compressor}"
    assert lines[2].split("  ")[-1].strip() == "seconds"
    assert [line.split()[:2] for line in lines[3 : 3 + n]] == [["quality", str(k)] for k in range(n)]
    assert sum("the default" in line for line in lines) == 1
    assert lines[3 + n].startswith("  --max-error 5%")
    assert "every value within 12.75" in lines[3 + n]
    assert lines[4 + n].split()[0] == "--lossless"
    assert lines[4 + n].split()[3] == "exact"
    assert lines[-1] == "Nothing was written. Choose one by --quality K, --max-error E or --lossless."


def test_the_quality_that_a_dry_run_shows_is_the_one_that_is_written(narrows, compressor):
    dry = narrows.json("compress", "digits:test", "-m", compressor, "--dry-run", "--quality", "2")
    made = narrows.json("compress", "digits:test", "-m", compressor, "--quality", "2", "-o", "x.narrows")
    shown = dry["trials"][2]
    assert (dry["chosen"], shown["quality"]) == (2, 2)
    assert [shown[key] for key in ("n_bytes", "bytes_per_record", "psnr_db", "max_error")] == [
        made[key] for key in ("n_bytes", "bytes_per_record", "psnr_db", "max_error")
    ]
    by_psnr = narrows.json("compress", "digits:test", "-m", compressor, "--dry-run", "--psnr", str(shown["psnr_db"]))
    (chosen,) = (one for one in by_psnr["trials"] if one["is_chosen"])
    assert chosen["n_bytes"] <= shown["n_bytes"] + 100
    assert chosen["psnr_db"] >= shown["psnr_db"] - 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "Missing option '-o' / '--output'."),
        ("--dry-run --append", "--dry-run cannot be combined with --append"),
        ("--dry-run --quality 99", "The 'quality' of this model must be a whole number from 0, the coarsest, to"),
        ("-o x.narrows --quality 1 --psnr 20", "--psnr and --quality cannot be combined"),
        ("-o x.narrows --quality 1 --lossless", "--quality cannot be combined with --lossless"),
    ],
)
def test_options_that_contradict_a_dry_run_or_a_quality_are_refused(options, message, narrows, compressor):
    assert message in narrows("compress", "digits:test", "-m", compressor, *options.split(), code=2).stderr
    assert list(Path().iterdir()) == []
