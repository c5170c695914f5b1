"""What the tests of the command line share: a caller, three small models, and an archive."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from narrows.cli import main

QUICK = ("--epochs", "2", "--limit", "200")


class Caller:
    """Calls the command line inside this process."""

    def __call__(self, *arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def fails(self, *arguments):
        """Call what must end with one of the exit codes of mistakes."""
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code in {1, 2}, result.output
        return result

    def json(self, *arguments):
        """Return what is printed as one JSON object; anything else beside it would not parse."""
        return json.loads(self(*arguments, "--json").stdout, parse_constant=pytest.fail)

    def train(self, path, *arguments, data="digits:train"):
        """Train on a few digits; return what `info` says of the model."""
        self("train", data, "-o", path, *QUICK, "--quiet", *arguments)
        return self.json("info", path)


@pytest.fixture(scope="session")
def narrows():
    return Caller()


@pytest.fixture(scope="session")
def model(narrows, once):
    """A model of digits with a code of four numbers."""
    return str(once("digits.safetensors", lambda path: narrows.train(path, "--latent", "4")))


@pytest.fixture(scope="session")
def denoising_model(narrows, once):
    return str(once("denoising.safetensors", lambda path: narrows.train(path, "--recipe", "conv-denoising")))


@pytest.fixture(scope="session")
def compressor(narrows, once):
    """A model of digits that is trained long enough for qualities worth choosing between."""
    train = ("train", "digits:train", "--latent", "8", "--epochs", "15", "--quiet", "-o")
    return str(once("compressor.safetensors", lambda path: narrows(*train, path)))


@pytest.fixture(scope="session")
def narrow_archive(narrows, compressor, once):
    """The 360 test images of digits, compressed at the default quality of the model."""
    from narrows.codec import read_frozen

    usual = str(read_frozen(compressor).default)
    compress = ("compress", "digits:test", "-m", compressor, "--quality", usual, "--quiet", "-o")
    return once("digits.narrows", lambda path: narrows(*compress, path)).read_bytes()


@pytest.fixture
def archive(narrow_archive):
    """The same in the folder of the test, to be damaged or added to."""
    Path("digits.narrows").write_bytes(narrow_archive)
    return "digits.narrows"


@pytest.fixture
def fine_pictures():
    """Draw pictures as users get them, for tests that look at their pixels."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    if "fine_pictures" not in request.fixturenames:
        request.getfixturevalue("coarse_pictures")


@pytest.fixture
def small_demo(monkeypatch):
    """Let ``narrows demo`` train on a hundred digits for an epoch and show three, for a look at whether it works."""
    import narrows
    from narrows.cli.inputs import open_data

    recipe, n_digits = narrows.recipe, {"digits:train": 100, "digits:test": 3}
    monkeypatch.setattr(narrows, "recipe", lambda name, **changes: recipe(name, **changes | {"training__epochs": 1}))
    monkeypatch.setattr("narrows.cli.demo.open_data", lambda name, quiet: open_data(name, limit=n_digits[name]))
    quick_detector(monkeypatch)


def quick_detector(monkeypatch):
    """Let ``narrows demo`` train its detector of outliers for an epoch."""
    import narrows

    kind, settings = narrows.AutoencoderOutlier, {"training": narrows.Training(epochs=1), "random_state": 0}
    monkeypatch.setattr(narrows, "AutoencoderOutlier", lambda **_: kind(**settings))


@pytest.fixture(autouse=True)
def archives_of_codes(code_by_default):
    """Let `compress` store codes by default."""
