"""With ``-q`` a verb that writes an output prints nothing; one whose result is text prints that."""

import numpy as np
import pytest

WRITING = [
    "train digits -o m.safetensors --epochs 1 --limit 20 --latent 2",
    "compress digits:test -m {model} -o x.narrows --limit 20",
    "compress grid.npy --lossless -o x.narrows",
    "restore {archive} -m {compressor} -o x.npy",
    "recover {archive} -o x.narrows",
    "embed {archive} -m {compressor}",
    "encode digits:test -m {model} -o x.npy --limit 5",
    "decode codes.npy -m {model} -o x.npy",
    "reconstruct digits:test -m {model} -o x.npy --limit 5",
    "denoise digits:test -m {denoising_model} -o x.npy --limit 5",
    "generate -m {model} -o x.png -n 4",
    "picture digits:test -m {model} -o x.png",
    "map digits:test -m {model} -o x.html",
    "outliers steps.npy -o x.csv",
    "index digits:test -m {model} -o x.index --limit 5",
    "search #1 -i {archive} -m {compressor} -o x.csv",
]
PRINTING = [
    "search #1 -i {archive} -m {compressor}",
    "info {archive}",
    "list {archive}",
    "recipes auto",
    "evaluate digits:test -m {model} --limit 20",
]


@pytest.fixture
def files(model, denoising_model, compressor, archive):
    rng = np.random.default_rng(0)
    np.save("grid.npy", rng.random((8, 8)))
    np.save("codes.npy", rng.random((3, 4)).astype(np.float32))
    np.save("steps.npy", rng.random(400))
    return {"model": model, "denoising_model": denoising_model, "compressor": compressor, "archive": archive}


@pytest.mark.parametrize("command", WRITING, ids=lambda command: command.split()[0])
def test_a_quiet_verb_prints_nothing_about_its_output(narrows, files, command):
    done = narrows(*command.format(**files).split(), "-q")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("command", PRINTING, ids=lambda command: command.split()[0])
def test_a_quiet_verb_prints_what_was_asked_for(narrows, files, command):
    assert narrows(*command.format(**files).split(), "-q").stdout


def test_a_quiet_verb_prints_json_and_errors(narrows, files):
    assert narrows.json("embed", files["archive"], "-m", files["compressor"], "-q")["path"] == files["archive"]
    assert narrows("embed", "nothing.narrows", "-q", code=1).stderr.startswith("Error: ")
