"""``narrows compress``: a small file, honest totals, and nothing half-written."""

import os
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import narrows as package
from narrows.archive.quality import size_warnings
from narrows.archive.summary import Summary
from narrows.cli.compressed import result_lines
from narrows.cli.progress import show_progress
from narrows.codec import kernels


@pytest.fixture
def model(compressor):
    return compressor


def compress(narrows, model, *more, data="digits:test", code=0):
    return narrows("compress", data, "-m", model, "-o", "x.narrows", *more, code=code)


def totals(narrows, model, *more, data="digits:test"):
    return narrows.json("compress", data, "-m", model, "-o", "x.narrows", "--quiet", *more)


def restored(narrows, model, *more):
    narrows("restore", "x.narrows", "-o", "back.npy", "--force", *(("-m", model) if model else ()), *more)
    return np.load("back.npy")


# ------------------------------------------------------------------------------------------------------------ totals


def test_the_totals_are_those_of_the_file_and_of_what_comes_back(narrows, model, digits):
    said = totals(narrows, model)
    back = restored(narrows, model)
    error = digits[1].astype(float) - back
    assert said["records"] == said["total_records"] == 360
    assert said["n_bytes"] == Path("x.narrows").stat().st_size
    assert said["bytes_per_record"] == said["n_bytes"] / 360
    assert said["raw_bytes"] == digits[1].nbytes
    assert said["ratio_to_raw"] == pytest.approx(digits[1].nbytes / said["n_bytes"])
    assert said["ratio_to_zstd"] == pytest.approx(said["zstd_bytes"] / said["n_bytes"])
    assert said["psnr_db"] == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)))
    assert said["max_error"] == np.abs(error).max()
    assert (said["model_embedded"], said["warnings"]) == (False, [])


def test_in_words_every_total_has_a_line_with_its_meaning(narrows, model):
    said = totals(narrows, model)
    Path("x.narrows").unlink()
    result = compress(narrows, model)
    lines = {line[2:18].strip(): line for line in result.stdout.splitlines() if line.startswith("  ")}
    others = [name for name in lines if name.startswith("ratio to ") and name != "ratio to raw"]
    assert set(others) >= {"ratio to WebP"}
    assert "ratio to zstd" not in others, "which is lossless"
    assert [name for name in lines if name not in others] == [
        "records",
        "bytes on disk",
        "fixed bytes",
        "bytes a record",
        "ratio to raw",
        "PSNR",
        "largest error",
        "the model",
    ]
    assert "8×8 uint8 from digits:test" in lines["records"]
    assert f" {said['n_bytes']:,}" in lines["bytes on disk"]
    assert "23,040 bytes uncompressed" in lines["ratio to raw"]
    assert "bytes by WebP, at " in lines["ratio to WebP"]
    assert f"expected: {said['expected_psnr_db']:#.4g} dB, measured on the training data" in lines["PSNR"]
    assert "in compressor.safetensors: keep it" in lines["the model"]
    assert result.stdout.startswith("x.narrows\n")
    assert result.stdout.splitlines()[-1].startswith("The model has")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("compiled", "line"), [(kernels, "kernels: C"), (None, "kernels: NumPy (install a C compiler")]
)
def test_the_totals_say_which_kernels_ran(monkeypatch, compiled, line):
    monkeypatch.setattr(kernels, "compiled", compiled)
    assert summary().to_json()["kernels"] == summary().kernels == line.split()[1]
    assert line in in_words()
    assert "kernels" not in in_words(quiet=True)


def summary(**changes):
    """Return the totals of 1,000 records of 100 bytes that zstd halves and a model of 2,000 bytes makes a tenth of."""
    rng = np.random.default_rng(0)
    values = {
        "path": "x.narrows",
        "records": 1000,
        "total_records": 1000,
        "n_bytes": 10_000,
        "raw_bytes": 100_000,
        "psnr_db": None,
        "max_error": 0.0,
        "expected_psnr_db": 31.0,
        "expected_bytes_per_record": 9.0,
        "model_bytes": 2000,
        "model_embedded": False,
        "unlike": 0,
        "warnings": (),
        "sample": rng.integers(0, 16, 100_000, dtype=np.uint8).tobytes(),
    }
    return Summary(**{**values, **changes})


def in_words(fixed=0, *, quiet=False, n_chunks=1, **changes):
    source = package.data.Source(np.zeros((1000, 100), np.uint8), name="x.npy", kind="npy")
    return "\n".join(result_lines(summary(**changes), source, "models/m.safetensors", fixed, n_chunks, quiet=quiet))


def test_a_model_is_said_to_have_paid_for_itself_or_from_when_on_it_will_or_that_it_never_does():
    n = summary().pays_after
    assert (
        f"The model has paid for itself: archive and model together beat zstd losslessly from {n} records on."
        in in_words()
    )
    dear = in_words(model_bytes=10_000_000)
    assert "The model has not paid for itself yet: archive and model together beat zstd losslessly from 2" in dear
    never = in_words(n_bytes=60_000)
    assert "Zstd wins: records like these take 60.00 bytes each here without the model, and zstd takes 5" in never
    assert "The model never pays for itself on them." in never


def test_the_effort_is_said_if_there_was_any():
    assert "effort" not in in_words()
    assert "the code of each record was refined; reading takes no longer" in in_words(effort=9)
    assert summary(effort=9).to_json()["effort"] == 9


def test_an_effort_beyond_9_or_with_a_bound_is_refused(narrows, compressor):
    for options, why in ((["10"], "0<=x<=9"), (["5", "--lossless"], "no effect with an error bound")):
        result = narrows.fails("compress", "digits:test", "-m", compressor, "-o", "x.narrows", "--effort", *options)
        assert why in " ".join(result.stderr.split())
        assert not Path("x.narrows").exists()


def test_a_model_that_is_inside_is_counted_and_said_to_be():
    text = in_words(n_bytes=62_000, model_embedded=True)
    assert "inside, and counted above" in text
    assert "take 60.00 bytes each here without the model" in text


def test_where_header_and_index_are_much_of_the_file_that_is_said():
    assert "fixed bytes" not in in_words(fixed=1000)
    assert "1,001         header and index, 10% of the file; more records hardly add to them" in in_words(fixed=1001)
    inside = in_words(fixed=500, model_embedded=True)
    assert "2,500         header, index and model, 25% of the file" in inside


def test_of_too_few_records_no_verdict_is_given_on_the_model():
    few = in_words(fixed=20_000, n_bytes=60_000)
    assert "too few records to tell when the model pays for itself" in few
    assert "Zstd is smaller." in few
    assert "without header and index they take 40.00 bytes each, and zstd takes 5" in few
    assert "The model never pays for itself" in in_words(fixed=2_000, n_bytes=60_000)
    one = in_words(fixed=500, n_bytes=600, total_records=1, raw_bytes=80)
    assert "too few records" in one


def test_small_chunks_are_said_to_be_the_reason_if_they_are():
    small = in_words(fixed=20_000, n_bytes=60_000, n_chunks=500)
    assert "The 500 chunks are too small to tell when the model pays for itself: they take 120.0 bytes each" in small
    assert "Larger chunks (--chunk-records)" in small
    assert "too few records" in in_words(fixed=20_000, n_bytes=60_000, n_chunks=2)


def test_if_no_chunk_uses_the_model_that_is_said():
    never = "The model did nothing: no chunk uses it, and reading needs no model."
    said = in_words(error_bound=0.0, model_bytes=0, chunks_kept={"neighbours": 3})
    assert f"{never} `narrows compress x.npy -o x.narrows --lossless --as records` makes" in said
    assert "not needed for reading: no chunk uses it" in said
    assert "--max-error 0.5 --as records" in in_words(error_bound=0.5, model_bytes=0, chunks_kept={"zstd": 3})
    assert never not in in_words(error_bound=0.0, chunks_kept={"network": 2})


def test_noise_that_no_model_predicts_is_said_not_to_use_the_model(narrows, model, rng):
    np.save("noise.npy", rng.integers(0, 256, (40, 8, 8), dtype=np.uint8))
    done = narrows("compress", "noise.npy", "-m", model, "-o", "noise.narrows", "--lossless")
    assert "The model did nothing" in done.stdout


def test_info_shows_the_fill_value_of_an_archive(narrows, tmp_path):
    x = np.sin(np.arange(100)[:, None] / 5 + np.arange(12)).astype("f4")
    np.save("x.npy", x)
    narrows("train", "x.npy", "-o", "m", "--epochs", "1", "--latent", "2", "--quiet")
    x[::7, 3] = -9999
    np.save("y.npy", x)
    for name, options in (("y.narrows", ("--fill-value", "-9999")), ("z.narrows", ())):
        narrows("compress", "y.npy", "-m", "m", "-o", name, "--max-error", "0.1", *options)
    assert re.search(r"fill value +-9999\.0, kept exactly", narrows("info", "y.narrows").stdout)
    assert "fill value" not in narrows("info", "z.narrows").stdout
    assert narrows.json("info", "y.narrows")["metadata"]["fill_value"] == -9999


def test_the_fixed_bytes_are_those_that_info_names(narrows, model):
    line = next(line for line in compress(narrows, model).stdout.splitlines() if "fixed bytes" in line)
    found = narrows.json("info", "x.narrows")
    assert f" {found['header_bytes'] + found['index_bytes']} " in line
    assert "fixed bytes" not in compress(narrows, model, "--force", data="digits:train").stdout


def test_records_that_come_back_exactly_are_said_to():
    assert "restored exactly" in in_words(psnr_db=None, max_error=0.0)


# ---------------------------------------------------------------------------------------------------------- warnings


def test_data_unlike_the_training_data_are_warned_of_on_standard_error(narrows, model, rng):
    np.save("noise.npy", rng.integers(0, 256, (50, 8, 8), dtype=np.uint8))
    result = compress(narrows, model, data="noise.npy")
    assert result.stderr.startswith("Warning: ")
    assert "training data" in result.stderr
    assert "Warning" not in result.stdout
    quiet = narrows("compress", "noise.npy", "-m", model, "-o", "y.narrows", "--quiet", "--json")
    assert quiet.stderr == result.stderr  # lost quality is no note
    assert "training data" in quiet.stdout


def test_a_quality_that_is_asked_for_and_not_reached_is_warned_of(narrows, model, monkeypatch):
    warning = "The records come back at 10.00 dB, not at the 11 dB asked for."
    warned = {"kind": "psnr", "count": 1000, "first": None, "message": warning}
    monkeypatch.setattr("narrows.archive.compress.compress", lambda *_, **__: summary(warnings=(warned,)))
    monkeypatch.setattr("narrows.archive.inspect", lambda path: SimpleNamespace(fixed_bytes=0, n_chunks=1))
    assert compress(narrows, model).stderr == f"Warning: {warning}\n"


def test_a_size_that_is_asked_for_and_not_kept_is_warned_of_with_its_cause(narrows, model):
    from narrows.codec import read_frozen

    asked = max(one.bytes_per_record for one in read_frozen(model).qualities)
    said = totals(narrows, model, "--bytes-per-record", str(asked), "--limit", "40")
    (warning,) = said["warnings"]
    each, found = f"{said['bytes_per_record']:.2f} bytes per record", narrows.json("info", "x.narrows")
    assert (warning["kind"], warning["count"]) == ("bytes", 40)
    assert warning["message"].startswith(f"The archive takes {each}, more than the requested {asked:g}")
    (share,) = re.findall(r" ([\d.]+) for its share of header and index\.", warning["message"])
    assert float(share) == pytest.approx((found["header_bytes"] + found["index_bytes"]) / 40, abs=0.0051)
    assert totals(narrows, model, "--bytes-per-record", "40", "--force")["warnings"] == []


def test_records_that_are_larger_than_training_data_are_warned_of():
    from types import SimpleNamespace

    tiling = {"tiling": {"overlap": 0}}
    found = SimpleNamespace(n_bytes=1000, model_bytes=50, records_bytes=900, n_records=100, metadata=tiling)
    assert size_warnings(found, None) == ()
    assert size_warnings(found, 9.0) == ()
    (warning,) = size_warnings(found, 6.0)
    assert (
        "9.50 bytes per image, more than the requested 6: 9.00 for the image itself and 0.50 for its share of header"
        in str(warning)
    )
    assert str(warning).endswith("Request fewer bytes, or train on more data.")


def test_transparency_that_is_lost_is_warned_of_in_one_line(narrows, model):
    Path("photos").mkdir()
    Image.fromarray(np.zeros((8, 8, 2), np.uint8)).save("photos/a.png")
    result = narrows("compress", "photos", "-m", model, "-o", "x.narrows", "--limit", "1")
    lines = [line for line in result.stderr.splitlines() if "transparent" in line]
    assert lines == [
        "Warning: photos/ has transparent pixels. "
        "They were blended with white, since records cannot store transparency."
    ]
    (lost,) = (one for one in narrows.json("evaluate", "photos", "-m", model)["warnings"] if one["kind"] == "alpha")
    assert (lost["count"], lost["first"], f"Warning: {lost['message']}") == (1, "a.png", lines[0])
    quiet = compress(narrows, model, "--force", "--quiet", data="photos").stderr.splitlines()
    assert [line for line in quiet if "unlike the training data" not in line] == lines


# ----------------------------------------------------------------------------------------------------------- quality


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--psnr 20 --bytes-per-record 3",
            "--psnr and --bytes-per-record cannot be combined, since each chooses the quality. Give one of them.",
        ),
        ("--psnr 0", "--psnr must be a number above 0. Got 0."),
        ("--psnr nan", "--psnr must be a number above 0. Got nan."),
        ("--bytes-per-record -1", "--bytes-per-record must be a number above 0. Got -1."),
        ("--bytes-per-record 0.001", "The 'bytes_per_record' of this model must be at least"),
        ("--append --force", "--append extends an archive, and --force replaces it"),
        ("--overlap 2", "'overlap' has no effect"),
        ("--chunk-records 0", "The 'chunk_records' (--chunk-records) must be a whole number above 0. Got 0."),
        ("--chunk-records 999999", "(--chunk-records) must be from 1 to 65,536 for these records. Got 999,999."),
        ("--limit 0", "The 'limit' must be a whole number ≥ 1. Got 0."),
    ],
)
def test_wrong_usage_ends_with_2_and_leaves_nothing(arguments, message, narrows, model):
    result = compress(narrows, model, *arguments.split(), code=2)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert list(Path().iterdir()) == []


# ------------------------------------------------------------------------------------------------------ data, options


def test_an_embedded_model_is_all_that_a_reader_needs(narrows, model):
    small = totals(narrows, model)
    alone = restored(narrows, model)
    large = totals(narrows, model, "--embed-model", "--force")
    assert large["model_embedded"]
    assert large["n_bytes"] > small["n_bytes"] + large["model_bytes"]
    assert np.array_equal(restored(narrows, None), alone)


@pytest.mark.parametrize("more", [(), ("--lossless",)])
def test_the_records_of_a_chunk_can_be_chosen(more, narrows, model):
    compress(narrows, model, "-q", *more)
    whole = restored(narrows, model)
    compress(narrows, model, "-q", "--force", "--chunk-records", "100", *more)
    assert package.archive.inspect("x.narrows").n_chunks == 4
    assert np.array_equal(restored(narrows, model), whole)
    said = compress(narrows, model, "--append", "--chunk-records", "50", *more, code=2)
    assert "can be set only for new archives. Omit it with 'append'." in said.stderr


def test_records_are_appended_to_an_archive_that_is_there(narrows, model):
    compress(narrows, model, "--limit", "100", "-q")
    said = totals(narrows, model, "--append", "--limit", "60", data="digits:train")
    assert (said["records"], said["total_records"]) == (60, 160)
    assert said["n_bytes"] == Path("x.narrows").stat().st_size
    assert len(restored(narrows, model)) == 160
    assert "of all 165 records" in compress(narrows, model, "--append", "--limit", "5").stdout
    Path("x.narrows").unlink()
    assert "There is no file x.narrows" in compress(narrows, model, "--append", code=1).stderr


def test_images_keep_their_names_there_and_back(narrows, model, digits):
    for position, name in enumerate(("a/one.png", "b/two.png", "three.png")):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits[1][position]).save(Path("photos", name))
    compress(narrows, model, data="photos")
    narrows("restore", "x.narrows", "-m", model, "-o", "back/")
    names = sorted(path.relative_to("back").as_posix() for path in Path("back").rglob("*.png"))
    assert names == ["a/one.png", "b/two.png", "three.png"]
    assert np.array_equal(np.asarray(Image.open("back/a/one.png")), restored(narrows, model, "--only", "0")[0])


@pytest.fixture
def large_images(digits):
    """Two images of twice the model's height and width."""
    eight = digits[1][:8]
    np.save("large.npy", np.block([[eight[0:2], eight[2:4]], [eight[4:6], eight[6:8]]]))
    return "large.npy"


def test_larger_images_are_cut_into_tiles_and_counted_as_images(narrows, model, large_images):
    said = totals(narrows, model, data=large_images)
    assert (said["records"], said["raw_bytes"]) == (2, 2 * 16 * 16)
    about = narrows.json("info", "x.narrows")
    assert (about["n_records"], about["n_tiles"]) == (2, 8)
    text = narrows("info", "x.narrows").stdout
    assert "images     2 of 16×16 uint8, in 8 tiles of 8×8, 512 bytes restored\n" in text
    assert f"{said['bytes_per_record']:#.4g} an image, {about['bytes_per_tile']:#.4g} a tile" in text
    assert about["bytes_per_record"] == said["bytes_per_record"] == about["n_bytes"] / 2
    compress(narrows, model, "--overlap", "2", "--force", data=large_images)
    assert "in 18 tiles of 8×8 that overlap by 2 pixels," in narrows("info", "x.narrows").stdout


@pytest.mark.parametrize("overlap", [0, 2])
def test_larger_images_come_back_whole(overlap, narrows, model, large_images):
    compress(narrows, model, "--overlap", str(overlap), data=large_images)
    assert restored(narrows, model).shape == (2, 16, 16)


def test_key_and_limit_say_which_data_are_meant(narrows, model):
    np.savez("two.npz", x=np.zeros((30, 8, 8), np.uint8), other=np.zeros((3, 5)))
    assert totals(narrows, model, "--key", "x", "--limit", "20", data="two.npz")["records"] == 20


def test_data_of_another_shape_or_type_are_refused_by_name(narrows, model):
    np.save("flat.npy", np.zeros((3, 5), np.uint8))
    assert "(5,)" in compress(narrows, model, data="flat.npy", code=1).stderr
    np.save("floats.npy", np.zeros((3, 8, 8), np.float32))
    assert "float32" in compress(narrows, model, data="floats.npy", code=1).stderr
    assert not Path("x.narrows").exists()


# ------------------------------------------------------------------------------------------------------------ outputs


def test_an_archive_is_replaced_only_by_force_and_refused_before_the_model_is_read(narrows, model):
    Path("x.narrows").write_bytes(b"mine")
    refused = compress(narrows, "no-such-model.safetensors", data="no-such-data.npy", code=1).stderr
    assert "already exists" in refused
    assert "--force" in refused
    assert Path("x.narrows").read_bytes() == b"mine"
    compress(narrows, model, "--force")
    assert Path("x.narrows").read_bytes() != b"mine"
    nowhere = narrows("compress", "digits", "-m", "no-such", "-o", "nowhere/x.narrows", code=1)
    assert "does not exist. Create it first" in nowhere.stderr


def test_what_is_read_is_never_replaced(narrows, model):
    np.save("x.npy", np.zeros((3, 8, 8), np.uint8))
    before = Path("x.npy").read_bytes()
    refused = narrows("compress", "x.npy", "-m", model, "-o", "./x.npy", "--force", code=2).stderr
    assert "is also an input" in refused
    assert Path("x.npy").read_bytes() == before
    assert "is also an input" in narrows("compress", "x.npy", "-m", model, "-o", model, "--force", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("no-such.npy -m MODEL -o x.narrows", "There is no file or folder 'no-such.npy'."),
        ("flat.npy -m MODEL -o x.narrows", "The model was trained on records of shape (8, 8). Got (7,)."),
        ("eight.npy -m no-such.safetensors -o x.narrows", "The model file no-such.safetensors does not exist."),
        ("eight.npy -m MODEL -o x.narrows --append", "There is no file x.narrows."),
        ("eight.npy -m MODEL -o x.narrows --overlap 2", "'overlap' has no effect"),
        ("eight.npy -m MODEL -o x.narrows --limit 0", "The 'limit' must be a whole number ≥ 1."),
        ("eight.npy -m MODEL -o x.narrows --resize 3x", "A size must have the form HEIGHTxWIDTH"),
    ],
)
def test_mistakes_are_told_before_the_model_is_loaded(arguments, message, narrows, model, monkeypatch):
    monkeypatch.setattr("narrows.cli.compress.load_model", lambda *_: pytest.fail("the model was loaded"))
    np.save("eight.npy", np.zeros((3, 8, 8), np.uint8))
    np.save("flat.npy", np.zeros((3, 7), np.uint8))
    wrong = narrows.fails("compress", *arguments.replace("MODEL", model).split())
    assert message in wrong.stderr


@pytest.mark.parametrize("ending", [".zip", ".png", ".npy", ".PNG", ".safetensors"])
def test_an_archive_is_not_called_as_files_of_another_kind_are(ending, narrows, model, archive):
    for command in (("compress", "digits", "-m", model), ("recover", archive), ("embed", archive)):
        refused = narrows(*command, "-o", f"x{ending}", code=2).stderr
        assert f"The name of an archive must not end in {ending}. Got" in refused
    narrows("recover", archive, "-o", "no-ending")


def stop_after_the_first_records(monkeypatch, number):
    """Have the process receive a signal once some records are written."""

    @contextmanager
    def stop(*, quiet):
        yield lambda activity, n_done, n_total, unit: os.kill(os.getpid(), number)

    monkeypatch.setattr("narrows.cli.compress.show_progress", stop)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "Terminated.\n")]
)
def test_ctrl_c_and_a_kill_leave_no_half_file(number, code, said, narrows, model, monkeypatch):
    stop_after_the_first_records(monkeypatch, number)
    result = compress(narrows, model, code=code)
    assert (result.stdout, result.stderr) == ("", said)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("how", ["--append", "--force"])
def test_ctrl_c_leaves_an_archive_that_is_appended_to_or_replaced_as_it_was(how, narrows, model, archive, monkeypatch):
    before = Path(archive).read_bytes()
    stop_after_the_first_records(monkeypatch, signal.SIGINT)
    narrows("compress", "digits:train", "-m", model, "-o", archive, how, code=130)
    assert Path(archive).read_bytes() == before
    assert [path.name for path in Path().iterdir()] == [archive]


def test_an_interruption_is_said_on_a_line_of_its_own(narrows, model, monkeypatch):
    def echo_and_stop(*, quiet):
        @contextmanager
        def shown():
            with show_progress(quiet=quiet) as progress:
                progress("compressing", 200, 400, "records")
                raise KeyboardInterrupt

        return shown()

    monkeypatch.setattr("narrows.cli.progress._BETWEEN_LINES", 0)
    monkeypatch.setattr("narrows.cli.compress.show_progress", echo_and_stop)
    assert compress(narrows, model, code=130).stderr == "compressing: 200 of 400 records\nInterrupted.\n"


def test_data_on_another_scale_are_warned_of_once_and_in_the_totals(narrows, digits):
    np.save("unit.npy", (digits[0][:200] / 255).astype("f4"))
    np.save("bytes.npy", digits[1][:20].astype("f4"))
    narrows("train", "unit.npy", "-o", "unit.safetensors", "--epochs", "1", "--quiet")
    result = compress(narrows, "unit.safetensors", data="bytes.npy")
    assert result.stderr.count("Warning: bytes.npy has values from 0 to 255, but the model was trained") == 1
    said = totals(narrows, "unit.safetensors", "--force", data="bytes.npy")
    assert "Divide by 255." in said["warnings"][0]["message"]


def test_of_data_of_zeros_and_ones_the_share_of_wrong_values_is_told(narrows, rng):
    x = rng.random((100, 8, 8)) > 0.5
    np.save("x.npy", x)
    narrows("train", "x.npy", "-o", "m.safetensors", "--epochs", "1", "-q")
    text = narrows("compress", "x.npy", "-m", "m.safetensors", "-o", "x.narrows").stdout
    narrows("restore", "x.narrows", "-m", "m.safetensors", "-o", "y.npy")
    (line,) = (line for line in text.splitlines() if "wrong values" in line)
    assert f" {100 * (np.load('y.npy') != x).mean():.2f} " in line
    assert line.endswith("--lossless restores all values")
    exact = narrows("compress", "x.npy", "-m", "m.safetensors", "-o", "x.narrows", "--force", "--lossless").stdout
    assert "wrong values" not in exact


def test_the_psnr_of_floats_names_its_range_and_that_of_bytes_is_0_to_255(narrows, rng, model):
    x = rng.normal(size=(200, 6)).astype("f4")
    np.save("x.npy", x)
    np.save("y.npy", x[:50] * np.float32(0.25))
    narrows("train", "x.npy", "-o", "m.safetensors", "--epochs", "1", "-q")
    text = narrows("compress", "y.npy", "-m", "m.safetensors", "-o", "y.narrows", "--max-error", "0.1%").stdout
    low, high = x[:50].min() / 4, x[:50].max() / 4
    (line,) = (line for line in text.splitlines() if line.startswith("  PSNR"))
    assert line.endswith(f"over the records' own range {low:.6g} to {high:.6g}")
    said = narrows.json("compress", "y.npy", "-m", "m.safetensors", "-o", "z.narrows", "--max-error", "0.1%")
    assert said["error_bound"] == pytest.approx(0.001 * (high - low), rel=1e-5)
    assert "over 0 to 255; expected" in compress(narrows, model).stdout


def test_the_way_that_was_taken_and_the_others_are_said(narrows, model, monkeypatch):
    monkeypatch.setattr("narrows.archive.plan._LARGE", 0)
    text = compress(narrows, model, "--psnr", "30").stdout
    assert (
        len(re.findall(r"^  (?:way|not taken) .* dB in [\d.]+ bytes a record, on a sample$", text, re.MULTILINE)) == 2
    )
    said = narrows("info", "x.narrows").stdout
    assert re.search(r"^way +1 chunk: 1 by ", said, re.MULTILINE)
    assert re.search(
        r"^not taken +by the code alone: [\d.]+ dB in [\d.]+ bytes a record, on a sample$", said, re.MULTILINE
    )


def test_a_folder_is_compared_with_its_own_files(narrows, model, digits):
    Path("photos").mkdir()
    for position in range(20):
        Image.fromarray(digits[1][position]).save(f"photos/{position}.png")
    size = sum(path.stat().st_size for path in Path("photos").iterdir())
    said = totals(narrows, model, data="photos")
    assert said["own_bytes"] == size
    (own,) = (one for one in said["yardsticks"] if one["name"] == "own files")
    assert (own["n_bytes"], own["is_equal"]) == (size, False)
    assert f"{size:,} bytes of the files of the folder" in compress(narrows, model, "--force", data="photos").stdout
