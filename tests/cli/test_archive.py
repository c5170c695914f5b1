"""``narrows verify``, ``recover``, and ``info`` of archives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def model(compressor):
    return compressor


@pytest.fixture(scope="module")
def appended(narrows, compressor, narrow_archive, tmp_path_factory):
    """The archive with 100 and 50 records more."""
    path = tmp_path_factory.mktemp("appended") / "digits.narrows"
    path.write_bytes(narrow_archive)
    for n in ("100", "50"):
        narrows("compress", "digits:train", "-m", compressor, "-o", path, "--append", "--limit", n, "--quiet")
    return path.read_bytes()


@pytest.fixture
def three_chunks(archive, appended):
    """An archive of 360, 100 and 50 records, the middle ones damaged."""
    data = bytearray(appended)
    data[Path(archive).stat().st_size + 60] ^= 0x10
    Path(archive).write_bytes(appended)
    Path("damaged.narrows").write_bytes(data)
    return "damaged.narrows"


# ------------------------------------------------------------------------------------------------------------- verify


def test_an_archive_that_is_whole_is_said_to_be(narrows, model, archive):
    n_bytes = f"{Path(archive).stat().st_size:,}"
    text = narrows("verify", archive, "-m", model).stdout
    assert text.splitlines() == [
        f"{archive} is intact: 360 records in 1 chunk, {n_bytes} bytes.",
        "Every record was restored, and its checksum is right.",
    ]
    said = narrows.json("verify", archive, "-m", model)
    assert (said["is_intact"], said["is_restored"], said["n_records"], said["n_intact"]) == (True, True, 360, 360)
    assert (said["lost"], said["problems"]) == ([], [])


def test_without_the_model_the_bytes_are_checked_and_the_rest_is_said_not_to_be(narrows, archive):
    text = narrows("verify", archive).stdout
    assert "is intact: 360 records" in text
    assert "All bytes have the right checksums." in text
    assert "were not compared with the compressed ones: that needs the model (-m MODEL)" in text
    assert narrows.json("verify", archive)["is_restored"] is False


def test_an_archive_that_carries_its_model_is_checked_in_full(narrows, model):
    narrows("compress", "digits:test", "-m", model, "-o", "x.narrows", "--embed-model", "--quiet")
    assert "Every record was restored" in narrows("verify", "x.narrows").stdout


def test_damage_is_listed_and_ends_with_1(narrows, model, three_chunks):
    for more in ((), ("-m", model)):
        result = narrows("verify", three_chunks, *more, code=1)
        assert result.stdout.startswith(f"{three_chunks} is damaged:\n  at byte ")
        assert "records 360 to 459" in result.stdout.splitlines()[1]
        assert "\nIntact: 410 records of 510, in 2 chunks.\n" in result.stdout
        assert "\nLost: records 360 to 459.\n" in result.stdout
        assert ("were not compared" in result.stdout) == (not more)
        assert result.stderr == ""


def test_damage_is_listed_as_json_and_ends_with_1(narrows, three_chunks):
    said = json.loads(narrows("verify", three_chunks, "--json", code=1).stdout)
    assert said["is_intact"] is False
    assert said["lost"] == [[360, 460]]
    assert said["problems"][0]["records"] == [360, 460]
    assert said["problems"][0]["offset"] > 0
    assert said["problems"][0]["what"]


def test_an_archive_that_is_cut_off_says_that_there_may_have_been_more(narrows, archive):
    data = Path(archive).read_bytes()
    Path("cut.narrows").write_bytes(data[: len(data) // 3])
    text = narrows("verify", "cut.narrows", code=1).stdout
    assert "Lost: records 0 to 359 and any records after these." in text


def test_what_is_no_archive_is_an_error_not_damage(narrows, model, archive, denoising_model):
    assert "There is no file x.narrows" in narrows("verify", "x.narrows", code=1).stderr
    assert narrows("verify", model, code=1).stderr.startswith(f"Error: {model}")
    assert "was written with the model" in narrows("verify", archive, "-m", denoising_model, code=1).stderr


# ------------------------------------------------------------------------------------------------------------ recover


def test_recover_saves_what_is_intact_and_lists_what_is_lost(narrows, model, three_chunks, archive):
    before = Path(three_chunks).read_bytes()
    said = narrows("recover", three_chunks, "-o", "saved.narrows", "-m", model).stdout
    assert said.startswith("saved.narrows  410 records in 2 chunks\n")
    assert "Lost: records 360 to 459." in said
    assert "does not contain its model" in said
    assert Path(three_chunks).read_bytes() == before
    assert "is intact: 410 records" in narrows("verify", "saved.narrows", "-m", model).stdout
    for path in (archive, "saved.narrows"):
        narrows("restore", path, "-m", model, "-o", "out.npy", "--force")
        Path("out.npy").rename(f"{path}.npy")
    whole, saved = np.load(f"{archive}.npy"), np.load("saved.narrows.npy")
    assert np.array_equal(saved, np.delete(whole, range(360, 460), axis=0))


def test_recover_as_json(narrows, three_chunks):
    said = narrows.json("recover", three_chunks, "-o", "saved.narrows")
    assert (said["path"], said["n_records"], said["n_chunks"], said["has_model"]) == ("saved.narrows", 410, 2, False)
    assert said["report"]["lost"] == [[360, 460]]


def test_a_whole_archive_is_copied_and_nothing_is_said_to_be_wrong_with_it(narrows, archive):
    assert f"{archive} was not damaged." in narrows("recover", archive, "-o", "copy.narrows").stdout


def test_recover_replaces_nothing_unasked_and_never_what_it_reads(narrows, three_chunks):
    before = Path(three_chunks).read_bytes()
    assert "is also an input" in narrows("recover", three_chunks, "-o", three_chunks, "--force", code=2).stderr
    assert Path(three_chunks).read_bytes() == before
    Path("mine.narrows").write_bytes(b"mine")
    assert "already exists" in narrows("recover", three_chunks, "-o", "mine.narrows", code=1).stderr
    assert Path("mine.narrows").read_bytes() == b"mine"


def test_where_nothing_is_intact_nothing_is_written(narrows, archive):
    data = bytearray(Path(archive).read_bytes())
    data[len(data) // 4 : 3 * len(data) // 4] = bytes(3 * len(data) // 4 - len(data) // 4)
    Path("x.narrows").write_bytes(data)
    assert "x.narrows" in narrows("recover", "x.narrows", "-o", "saved.narrows", code=1).stderr
    assert not Path("saved.narrows").exists()


def test_verify_recover_and_info_need_no_pytorch(model, archive):
    script = f"""
import sys
from narrows.cli import main
for command in ("verify {archive} -m {model}", "recover {archive} -o copy.narrows", "info {archive}"):
    main([*command.split(), "--json"], standalone_mode=False)
sys.exit(", ".join(name for name in ("torch", "sklearn", "matplotlib") if name in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------------------------------- info


def test_info_says_what_an_archive_is_and_where_its_bytes_are(narrows, archive):
    said = narrows.json("info", archive)
    assert said["n_records"] == 360
    assert said["n_bytes"] == Path(archive).stat().st_size
    assert said["metadata"]["record_shape"] == [8, 8]
    assert (said["n_tiles"], said["expected_psnr_db"]) == (None, None)
    text = narrows("info", archive).stdout
    for words in (
        f"{archive}, {said['n_bytes']:,} bytes, written by narrows",
        "360 of 8×8 uint8, 23,040 bytes restored",
        said["model_id"],
        "not inside: reading needs its file (-m MODEL)",
        "8 whole numbers a record",
        "a named data set",
        f"number {said['metadata']['quality']} of the model's, where 0 is the coarsest",
        f"1 chunk  {said['records_bytes']:,}",
    ):
        assert words in text


def test_info_names_the_quality_by_its_psnr_where_the_model_is_inside(narrows, model):
    written = narrows.json("compress", "digits:test", "-m", model, "-o", "x.narrows", "--embed-model")
    assert narrows.json("info", "x.narrows")["expected_psnr_db"] == written["expected_psnr_db"]
    text = narrows("info", "x.narrows").stdout
    assert f"quality    expected: {written['expected_psnr_db']:#.4g} dB, measured on the training data" in text
    data = bytearray(Path("x.narrows").read_bytes())
    data[narrows.json("info", "x.narrows")["header_bytes"] + 100] ^= 1  # in the model
    Path("x.narrows").write_bytes(data)
    assert narrows.json("info", "x.narrows")["expected_psnr_db"] is None


def test_an_archive_and_a_model_are_told_apart_by_their_first_bytes_not_by_their_names(narrows, model, archive):
    Path(archive).rename("archive.safetensors")
    Path("model.narrows").write_bytes(Path(model).read_bytes())
    assert narrows.json("info", "archive.safetensors")["n_records"] == 360
    assert narrows.json("info", "model.narrows")["n_latent"] == 8


def test_info_of_an_archive_that_cannot_be_opened_says_what_is_wrong_and_what_to_do(narrows, archive):
    data = Path(archive).read_bytes()
    Path("text.narrows").write_bytes(data.replace(b"\r\n", b"\n", 1))
    assert "line endings" in narrows("info", "text.narrows", code=1).stderr
    Path("half.narrows").write_bytes(data[: len(data) // 2])
    assert "narrows recover" in narrows("info", "half.narrows", code=1).stderr


# ---------------------------------------------------------------------------------------------------- files cut short


@pytest.mark.parametrize("n_bytes", [20, 100, 400])
def test_recover_is_not_advised_where_it_cannot_help(n_bytes, narrows, archive):
    Path("cut.narrows").write_bytes(Path(archive).read_bytes()[:n_bytes])
    for verb in (["info"], ["restore", "-o", "x.npy"], ["verify"], ["recover", "-o", "y.narrows"]):
        if verb != ["verify"] or n_bytes < 300:  # otherwise verify lists the damage
            said = narrows(verb[0], "cut.narrows", *verb[1:], code=1).stderr
            assert "is damaged" in said or "No chunk of cut.narrows is intact" in said
            assert "writes the intact records" not in said


@pytest.mark.parametrize("n_bytes", [1, 40, 5000])
def test_bytes_after_the_end_of_an_archive_are_named_by_all_verbs(n_bytes, narrows, model, archive):
    size = Path(archive).stat().st_size
    with open(archive, "ab") as file:
        file.write(b"\n" * n_bytes)
    what = "1 byte that is" if n_bytes == 1 else f"{n_bytes:,} bytes that are"
    words = f"its end at byte {size:,} is followed by {what} not part of it"
    for verb in (
        ("info", archive),
        ("restore", archive, "-m", model, "-o", "x.npy"),
        ("compress", "digits:test", "-m", model, "-o", archive, "--append"),
    ):
        assert words in narrows(*verb, code=1).stderr
    assert words in narrows("verify", archive, code=1).stdout
    result = narrows("recover", archive, "-o", "whole.narrows")
    assert result.stderr == ""  # nothing is lost
    assert narrows.json("info", "whole.narrows")["n_records"] == 360


def test_recover_warns_of_the_number_of_lost_records(narrows, three_chunks):
    said = narrows("recover", three_chunks, "-o", "y.narrows").stderr
    assert said == "Warning: 100 of 510 records are lost: they are damaged in damaged.narrows.\n"
    (warning,) = narrows.json("recover", three_chunks, "-o", "z.narrows")["warnings"]
    assert (warning["kind"], warning["count"]) == ("lost-records", 100)


def test_what_appending_leaves_behind_is_explained(narrows, model, archive):
    narrows("compress", "digits:train", "-m", model, "-o", archive, "--append", "--limit", "50", "--quiet")
    unused = narrows.json("info", archive)["other_bytes"]
    (line,) = (line for line in narrows("info", archive).stdout.splitlines() if "unused" in line)
    assert f"{unused:,} " in line
    assert line.endswith("older indices, which remain when records are appended")


def test_a_bound_is_refused_where_the_archive_has_none(narrows, model, archive):
    for option in (["--lossless"], ["--max-error", "3"]):
        said = narrows("compress", "digits:test", "-m", model, "-o", archive, "--append", *option, code=1).stderr
        assert "has no error bound, so records cannot be appended within one" in said
        assert option[0] in said


@pytest.fixture
def appended_and_cut(narrows, model):
    """An archive of 20 records that 30 were appended to, cut off some bytes before the end of the first part."""
    narrows("compress", "digits:test", "-m", model, "-o", "x.narrows", "--limit", "20", "--quiet")
    n_first = Path("x.narrows").stat().st_size
    narrows("compress", "digits:train", "-m", model, "-o", "x.narrows", "--append", "--limit", "30", "--quiet")
    data = Path("x.narrows").read_bytes()

    def cut(n):
        Path("x.narrows").write_bytes(data[: n_first - n])
        return "x.narrows"

    return cut


def test_a_file_that_ends_early_is_restored_with_a_warning_if_an_index_confirms_its_records(
    narrows, model, appended_and_cut
):
    path = appended_and_cut(30)
    warned = f"Warning: The end of {path} is damaged or truncated"
    for verb in (["restore", path, "-m", model, "-o", "back.npy"], ["info", path]):
        said = narrows(*verb).stderr
        assert said.startswith(warned)
        assert "confirm 20 records" in said
        assert "narrows recover" in said
        assert said.count("Warning") == 1
    for verb in (["restore", path, "-m", model, "-o", "again.npy"], ["info", path]):
        (warning,) = narrows.json(*verb)["warnings"]
        assert (warning["kind"], warning["count"]) == ("damaged-end", 1)
    assert len(np.load("back.npy")) == 20
    assert "is damaged" in narrows("verify", path, code=1).stdout


def test_a_file_that_nothing_confirms_is_refused(narrows, model, appended_and_cut):
    path = appended_and_cut(Path(appended_and_cut(0)).stat().st_size // 2)
    for verb in (["restore", path, "-m", model, "-o", "back.npy"], ["info", path]):
        assert "narrows recover" in narrows(*verb, code=1).stderr
    assert not Path("back.npy").exists()


@pytest.mark.parametrize("content", [b"", bytes(100), b"something else that is long enough"])
def test_info_takes_a_file_for_an_archive_by_its_name_if_its_first_bytes_are_damaged(narrows, content):
    Path("x.narrows").write_bytes(content)
    said = narrows("info", "x.narrows", code=1).stderr
    assert "an archive starts with" in said
    assert "safetensors" not in said
