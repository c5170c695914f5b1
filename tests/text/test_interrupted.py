"""Ctrl-C while texts are compressed, restored or learned from: files are as they were, and nothing else is left."""

import os
import signal

import pytest
from click.testing import CliRunner

import narrows
from narrows.cli import main
from narrows.codec import kernels
from narrows.codec.text.frozen import FrozenBytes

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")

LINES = [f"node-{k % 7} app[{k * 37 % 900}]: session opened" for k in range(200)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.log").write_text("".join(f"{line}\n" for line in LINES))
    model = narrows.ByteModel().fit(LINES[:100])
    model.save(folder / "m.safetensors")
    narrows.compress(folder / "a.log", folder / "a.narrows", model=model)
    narrows.compress(folder / "a.log", folder / "plain.narrows")
    for suffix in ("txt", "narrows", "safetensors"):
        (folder / f"there.{suffix}").write_bytes(b"what was there")
    return folder


@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("encode", "compress a.log -m m.safetensors -o {}.narrows"),
        ("of", "compress a.log -o {}.narrows"),
        ("decode", "restore a.narrows -m m.safetensors -o {}.txt"),
        ("sample", "restore plain.narrows -o {}.txt"),
        ("of", "train a.log --recipe bytes -o {}.safetensors"),
    ],
)
@pytest.mark.parametrize("output", ["new", "there"])
def test_files_are_as_they_were(folder, monkeypatch, method, command, output):
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    plain = getattr(FrozenBytes, method)

    def interrupted(*args, **options):
        os.kill(os.getpid(), signal.SIGINT)
        return plain(*args, **options)

    monkeypatch.setattr(FrozenBytes, method, interrupted)
    result = CliRunner().invoke(main, [*command.format(output).split(), "--force"])
    assert result.exit_code == 130, result.output
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
