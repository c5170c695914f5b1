"""``narrows compress --max-error`` and ``--lossless``: as exactly as asked, and said everywhere."""

import numpy as np
import pytest


def compress(narrows, model, *more, data="digits:test"):
    return narrows.json("compress", data, "-m", model, "-o", "x.narrows", "--quiet", "--force", *more)


def restored(narrows, model):
    narrows("restore", "x.narrows", "-o", "back.npy", "--force", "-m", model)
    return np.load("back.npy").astype(int)


@pytest.mark.parametrize(("bound", "units"), [("20", 20), ("10%", 25.5)])
def test_no_value_is_further_off(narrows, compressor, digits, bound, units):
    said = compress(narrows, compressor, "--max-error", bound)
    largest = np.abs(restored(narrows, compressor) - digits[1]).max()
    assert said["max_error"] == largest <= units
    about = narrows.json("info", "x.narrows")
    assert (about["metadata"]["max_error"], about["largest_error"]) == (pytest.approx(units), largest)
    said = f"every value within {int(units)}; the largest error is {largest}\n"
    assert said in narrows("info", "x.narrows").stdout
    assert narrows.json("verify", "x.narrows")["largest_error"] == largest
    assert f"The largest error of a value is {largest}" in narrows("verify", "x.narrows").stdout


def test_lossless(narrows, compressor, digits):
    said = compress(narrows, compressor, "--lossless")
    np.testing.assert_array_equal(restored(narrows, compressor), digits[1])
    assert (said["max_error"], said["psnr_db"]) == (0, None)
    assert "bit for bit" in narrows("info", "x.narrows").stdout
    assert "exactly" in narrows("compress", "digits:test", "-m", compressor, "-o", "y.narrows", "--lossless").stdout


def test_without_either_nothing_is_said_of_a_bound(narrows, compressor):
    compress(narrows, compressor)
    assert narrows.json("info", "x.narrows")["largest_error"] is None
    assert "kept" not in narrows("info", "x.narrows").stdout


def test_data_with_holes_are_kept_too(narrows, tmp_path):
    series = np.random.default_rng(0).normal(20, 5, (300, 12)).astype(np.float32)
    np.save("a.npy", series)
    narrows("train", "a.npy", "-o", "m.safetensors", "--epochs", "1", "--quiet")
    series[4, 5] = np.nan
    np.save("b.npy", series)
    compress(narrows, "m.safetensors", "--max-error", "0.01", data="b.npy")
    narrows("restore", "x.narrows", "-o", "back.npy", "-m", "m.safetensors")
    back = np.load("back.npy")
    assert np.array_equal(np.isnan(back), np.isnan(series))
    assert np.nanmax(np.abs(back - series)) <= 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lossless", "--max-error", "1"), "one of them"),
        (("--max-error", "-1"), "max_error"),
        (("--max-error", "much"), "max_error"),
        (("--lossless", "--psnr", "20"), "--psnr cannot be combined with"),
        (("--lossless", "--bytes-per-record", "9"), "--bytes-per-record cannot be combined with"),
        (("--lossless", "--overlap", "2"), "--overlap must be 0"),
    ],
)
def test_what_contradicts_itself_is_refused(narrows, compressor, options, message, monkeypatch):
    monkeypatch.setattr("narrows.cli.compress.load_model", lambda *_: pytest.fail("the model was loaded"))
    result = narrows.fails("compress", "digits:test", "-m", compressor, "-o", "x.narrows", *options)
    assert message in " ".join(result.output.split())


def test_what_is_appended_takes_the_bound_of_the_archive(narrows, compressor, digits, monkeypatch):
    compress(narrows, compressor, "--max-error", "5.0633898", "--limit", "50")
    append = ("compress", "digits:test", "-m", compressor, "-o", "x.narrows", "--append")
    narrows(*append)
    narrows(*append, "--max-error", "5.06339")
    largest = np.abs(restored(narrows, compressor) - np.concatenate([digits[1][:50], digits[1], digits[1]])).max()
    assert largest <= 5
    monkeypatch.setattr("narrows.cli.compress.load_model", lambda *_: pytest.fail("the model was loaded"))
    assert "has the error bound 5.0633898, " in narrows.fails(*append, "--lossless").stderr
    assert "psnr" in narrows.fails(*append, "--psnr", "20").stderr


def test_how_chunks_are_kept_is_said_and_nothing_is_expected(narrows, compressor):
    few = ("--limit", "100")
    said = compress(narrows, compressor, "--lossless", *few)
    assert sum(said["chunks_kept"].values()) == narrows.json("info", "x.narrows")["n_chunks"]
    text = narrows("compress", "digits:test", "-m", compressor, "-o", "y.narrows", "--max-error", "20", *few).stdout
    assert any(line.startswith("  chunks ") and " 1 by " in line for line in text.splitlines())
    assert "expected" not in text
    narrows("compress", "digits:test", "-m", compressor, "-o", "z.narrows", "--lossless", "--embed-model", *few)
    assert "expected" not in narrows("info", "z.narrows").stdout
