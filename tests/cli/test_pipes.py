"""The name - is standard input or output: verbs can stand in a pipe."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from narrows.cli import main
from narrows.errors import DataError, InvalidParameterError
from narrows.io.pipes import check_standard_output, from_standard_input


def piped(*arguments, given=b"", code=0):
    """Call the command line with bytes on standard input; return what it writes to standard output and error."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)
    assert result.exit_code == code, result.output
    return result.stdout_bytes, result.stderr


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.fixture(scope="module")
def digits():
    import narrows.data

    return np.array(narrows.data.open("digits:test").values[:20])


def test_an_archive_is_written_to_standard_output_and_its_summary_to_standard_error(model, digits, tmp_path):
    archive, messages = piped("compress", "-", "-m", model, "-o", "-", given=npy(digits))
    assert "20" in messages
    assert "standard input" in messages
    np.save(tmp_path / "x.npy", digits)
    piped("compress", tmp_path / "x.npy", "-m", model, "-o", tmp_path / "a.narrows")
    again, _ = piped("compress", tmp_path / "x.npy", "-m", model, "-o", "-")
    assert again == (tmp_path / "a.narrows").read_bytes()
    assert len(archive) == pytest.approx(len(again), abs=40)  # the header says where records came from


def test_restored_records_are_written_as_an_array(model, digits, tmp_path, narrows):
    np.save(tmp_path / "x.npy", digits)
    narrows("compress", tmp_path / "x.npy", "-m", model, "-o", tmp_path / "a.narrows", "--lossless")
    restored, messages = piped("restore", tmp_path / "a.narrows", "-m", model, "-o", "-")
    np.testing.assert_array_equal(np.load(io.BytesIO(restored)), digits)
    assert "20 records" in messages


def test_a_csv_file_comes_out_of_a_pipe_as_it_went_into_the_archive(tmp_path, narrows):
    rows = "".join(f"2024-03-01 00:{i:02d},{i / 4:.2f},{i}\n" for i in range(40))
    (tmp_path / "x.csv").write_text("when,load,n\n" + rows)
    narrows("compress", tmp_path / "x.csv", "-o", tmp_path / "a.narrows")
    restored, messages = piped("restore", tmp_path / "a.narrows", "-o", "-")
    assert restored == (tmp_path / "x.csv").read_bytes()
    assert "40 records" in messages
    some, _ = piped("restore", tmp_path / "a.narrows", "-o", "-", "--only", "3:5")
    assert some.decode().splitlines() == ["when,load,n", *rows.splitlines()[3:5]]


def test_texts_come_out_of_a_pipe_as_lines(tmp_path, narrows):
    archive = next((Path(__file__).parents[1] / "golden" / "text").glob("*exact*.narrows"))
    narrows("restore", archive, "-o", tmp_path / "x.txt")
    restored, _ = piped("restore", archive, "-o", "-")
    assert restored == (tmp_path / "x.txt").read_bytes() != b""


@pytest.mark.parametrize("verb", ["reconstruct", "encode"])
def test_verbs_read_and_write_pipes_as_they_do_files(model, digits, tmp_path, narrows, verb):
    np.save(tmp_path / "x.npy", digits)
    narrows(verb, tmp_path / "x.npy", "-m", model, "-o", tmp_path / "y.npy")
    written, messages = piped(verb, "-", "-m", model, "-o", "-", "--json", given=npy(digits))
    assert written == (tmp_path / "y.npy").read_bytes()
    assert '"path": "-"' in messages


def test_a_record_of_standard_input_can_be_chosen(model, digits):
    made, _ = piped("generate", "-m", model, "--traverse", "-#3", "-n", "3", "-o", "-", given=npy(digits), code=2)
    assert made == b""  # only data may be a pipe
    codes, _ = piped("encode", "-", "-m", model, "-o", "-", "--limit", "4", given=npy(digits))
    assert len(np.load(io.BytesIO(codes))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encode", "-", "-m", "-", "-o", "x.npy"), "--model must be a file"),
        (("recover", "-", "-o", "x.narrows"), "FILE.narrows must be a file"),
        (("embed", "-", "-o", "x.narrows"), "FILE.narrows must be a file"),
        (("train", "digits", "-o", "-"), "--output must be a file"),
        (("picture", "digits", "-m", "m", "-o", "-"), "--output must be a file"),
        (("compress", "digits", "-m", "m", "-o", "-", "--append"), "--append extends a file"),
    ],
)
def test_what_needs_a_file_says_so(arguments, message):
    assert message in piped(*arguments, code=2)[1]


SEEKS = (
    "must be a file, since narrows seeks in it. Got '-', which is standard input and can only be read from start to "
)
SEEKS += "end. Write it to a file first, for example with 'cat > FILE', and give the name of that file."
REPLACES = "must be a file, since narrows seeks in it, or replaces it as a whole. Got '-', which is standard output"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recover", "-", "-o", "x.narrows"), f"FILE.narrows {SEEKS}"),
        (("embed", "-", "-m", "m"), f"FILE.narrows {SEEKS}"),
        (("export", "-", "-o", "x.onnx"), f"MODEL {SEEKS}"),
        (("picture", "-", "-m", "m", "-o", "x.png"), f"[DATA] {SEEKS}"),
        (("train", "digits", "-o", "m", "--valid", "-"), f"--valid {SEEKS}"),
        (("generate", "-m", "m", "-o", "x.npy", "--between", "-#1", "x#2"), f"--between {SEEKS}"),
        *(
            ((verb, "x.npy", "-m", "-", "-o", "y"), f"--model {SEEKS}")
            for verb in ("compress", "reconstruct", "decode")
        ),
        *(((verb, "a.narrows", "-m", "-"), f"--model {SEEKS}") for verb in ("verify", "evaluate", "embed")),
        (("recover", "a.narrows", "-o", "-"), f"--output {REPLACES}"),
        (("embed", "a.narrows", "-o", "-"), f"--output {REPLACES}"),
        (("evaluate", "digits", "-m", "m", "--per-record", "-"), f"--per-record {REPLACES}"),
        (("info", "a.narrows", "--log", "-"), "--log must be a file, since it keeps what is printed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_reason_is_that_narrows_seeks_and_the_remedy_is_a_file(arguments, message):
    said = piped(*arguments, code=2)[1]
    assert message in said
    assert "For a file that is called '-', give './-'." in said


def test_empty_and_unknown_input_is_refused(model):
    assert "empty (0 bytes)" in piped("encode", "-", "-m", model, "-o", "-", code=1)[1]
    assert "format of standard input is unknown" in piped("encode", "-", "-m", model, "-o", "-", given=b"?", code=1)[1]


def test_images_on_standard_input_are_refused_with_what_is_read_there(model):
    said = piped("encode", "-", "-m", model, "-o", "-", given=b"\x89PNG\r\n\x1a\n", code=1)[1]
    assert "Standard input is a PNG image. narrows reads there: " in said
    assert "Images are read from files and folders" in said


@pytest.mark.parametrize("kind", ["npy", "npz", "idx"])
def test_damaged_input_is_called_standard_input(model, digits, kind):
    whole = io.BytesIO()
    if kind == "idx":
        whole.write(b"\0\0\x08\x03" + b"\0\0\0\x14" + b"\0\0\0\x08" * 2 + bytes(20 * 64))
    else:
        (np.save if kind == "npy" else np.savez)(whole, digits)
    said = piped("encode", "-", "-m", model, "-o", "-", given=whole.getvalue()[:-100], code=1)[1]
    assert said.startswith("Error: Standard input is ")
    assert "/" not in said


def test_input_is_deleted_after_reading(model, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWS_CACHE", str(tmp_path))
    piped("encode", "-", "-m", model, "-o", "-", given=npy(digits))
    piped("compress", "-", "-m", model, "-o", "-", given=npy(digits))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name")
def test_standard_input_has_no_file_that_a_killed_process_could_leave(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWS_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(npy(digits))))
    with from_standard_input() as path:
        assert list(tmp_path.iterdir()) == []
        assert path.read_bytes() == npy(digits)


def test_where_files_need_a_name_that_of_standard_input_is_deleted(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWS_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "other")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(npy(digits))))
    with from_standard_input() as path:
        assert [file.read_bytes() for file in tmp_path.iterdir()] == [npy(digits)]
        assert path.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_of_standard_output_is_deleted_by_the_next(model, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("NARROWS_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", digits)
    compress = ["compress", str(tmp_path / "x.npy"), "-m", model, "-o", "-"]
    killed = (
        "import os, narrows.cli, narrows.io.pipes as pipes\n"
        "pipes.check_standard_output = lambda: None\n"
        "with pipes.through_file('-') as path:\n"
        "    open(path, 'w').close()\n"
        "    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    assert len(list((tmp_path / "cache").iterdir())) == 1
    piped(*compress)
    assert list((tmp_path / "cache").iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminals_are_no_pipes(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(InvalidParameterError, match="terminal"):
        check_standard_output()
    with pytest.raises(DataError, match="terminal"), from_standard_input():
        pass


def test_closed_streams_are_not_called_terminals(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(InvalidParameterError, match="standard output, which is closed"):
        check_standard_output()
    with pytest.raises(DataError, match="standard input, which is closed"), from_standard_input():
        pass


def test_a_file_called_minus_is_named_with_its_folder(model, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", digits)
    piped("compress", "x.npy", "-m", model, "-o", "./-")
    assert piped("restore", "./-", "-m", model, "-o", "-")[0].startswith(b"\x93NUMPY")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_ends_ends_the_command_quietly(model, digits, tmp_path):
    np.save(tmp_path / "x.npy", np.repeat(digits, 200, axis=0))
    piped("compress", tmp_path / "x.npy", "-m", model, "-o", tmp_path / "a.narrows")
    command = [sys.executable, "-m", "narrows", "restore", tmp_path / "a.narrows", "-m", model, "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# ----------------------------------------------------------------------------------------- archives on standard input


@pytest.fixture
def packed(model, digits, tmp_path, monkeypatch):
    """The bytes of an archive without its model, which lies in the present folder."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", digits)
    piped("compress", "x.npy", "-m", model, "-o", "a.narrows")
    return (tmp_path / "a.narrows").read_bytes()


@pytest.mark.parametrize("command", [("list",), ("info",), ("verify",), ("verify", "-m"), ("info", "--json")])
def test_an_archive_can_be_standard_input(packed, model, command):
    more = [*command[1:], model] if "-m" in command else command[1:]
    of_file, _ = piped(command[0], "a.narrows", *more)
    of_pipe, _ = piped(command[0], "-", *more, given=packed)
    assert of_pipe.decode() == of_file.decode().replace("a.narrows", "standard input")


def test_records_are_restored_from_standard_input_to_standard_output(packed, model):
    whole, _ = piped("restore", "a.narrows", "-m", model, "-o", "-", "--only", "3:7")
    assert piped("restore", "-", "-m", model, "-o", "-", "--only", "3:7", given=packed)[0] == whole
    missing = piped("restore", "-", "-m", model, "-o", "-", "--only", "99", given=packed, code=2)[1]
    assert "standard input has 20 records" in missing


def test_a_folder_is_not_overwritten_from_standard_input(packed, model):
    piped("restore", "-", "-m", model, "-o", "images/", given=packed)
    piped("restore", "-", "-m", model, "-o", "images/", "--force", given=packed, code=2)


def test_a_model_on_standard_input_is_described(model):
    with open(model, "rb") as file:
        described, _ = piped("info", "-", given=file.read())
    assert described.startswith(b"file         standard input, ")


def test_damage_of_an_archive_on_standard_input_is_told_with_what_to_do(packed, model):
    said = piped("restore", "-", "-m", model, "-o", "y.npy", given=packed[:-10])[1]
    assert "The end of standard input is damaged or truncated" in said
    assert "Write it to a file: 'narrows recover'" in said
    said = piped("list", "-", given=npy(np.zeros(9)), code=1)[1]
    assert "standard input cannot be used: it is a .npy file, not an archive" in said
