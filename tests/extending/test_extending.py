"""What docs/extending.md shows works as shown: each extension works from one file and one import line."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import narrows
import narrows.data
from narrows import Autoencoder, Training
from narrows.bottlenecks import Bottleneck
from narrows.cli import VERBS, main
from narrows.data.formats import Format
from narrows.errors import CorruptFileError, DataError, InvalidParameterError
from narrows.model.artefacts import Artefact
from narrows.model.axes import AXES
from narrows.networks import Network
from narrows.penalties import Penalty

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "extending.md").read_text()
FILES = sorted(path for path in HERE.glob("*.py") if not path.name.startswith(("test_", "__")))


@pytest.fixture
def add(monkeypatch):
    """Return what imports a file of this folder; what it registers is forgotten after the test."""
    for axis in (Network, Bottleneck, Penalty, Format, Artefact):
        monkeypatch.setattr(axis, "registry", dict(axis.registry))

    def add(name):
        spec = importlib.util.spec_from_file_location(f"extending_{name}", HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return add


@pytest.fixture
def x(digits):
    return digits[0][:200]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_shows_the_files(path):
    text = path.read_text()
    assert f"```python\n{text}```" in PAGE
    statements = [line for line in text.splitlines() if line.strip() and not line.startswith(("import", "from", '"""'))]
    assert len(statements) <= 30


def test_the_page_names_files_that_exist_and_every_axis_of_parts():
    table = PAGE.partition("## All extension points")[2].partition("## A network")[0]
    for path in re.findall(r"`((?:narrows|tests)/[^` ]+)`", table):
        assert (HERE.parents[1] / path).is_file(), path
    for axis in AXES:
        assert axis == "training" or f"| {'lossless model' if axis == 'residual' else axis} (part)" in table


def test_a_network(add, x, tmp_path):
    add("wide")
    training = Training(epochs=20, batch_size=20)
    model = Autoencoder(8, network="wide", training=training, random_state=0).fit(x)
    assert narrows.evaluate(model, x)["mse"] < np.var(x / 255)
    model.save(tmp_path / "model")
    assert narrows.load(tmp_path / "model").chain_.parts.network.width == 64
    narrows.compress(x, tmp_path / "x.narrows", model=model)
    assert narrows.restore(tmp_path / "x.narrows", model=model).shape == x.shape


def test_a_network_with_labels_or_with_a_linear_path(add, x):
    wide = add("wide").Wide
    conditional = Autoencoder(8, network="wide", conditional=True, training=Training(epochs=2), random_state=0)
    conditional.fit(x, narrows.data.open("digits").labels[:200])
    assert conditional.chain_.parts.n_classes == 10
    linear = Autoencoder(8, network=wide(linear_path=True), training=Training(epochs=2), random_state=0).fit(x)
    errors = np.square(linear.reconstruct(x, dtype=float) - x)
    pca = linear.pca_
    assert errors.sum() < 1.1 * np.square(pca.decode(pca.encode(x)) - x.reshape(len(x), -1)).sum()


def test_a_bottleneck(add, x, tmp_path):
    add("fsq")
    training = Training(epochs=20, batch_size=20)
    model = Autoencoder(8, bottleneck="fsq", training=training, random_state=0).fit(x)
    assert narrows.evaluate(model, x)["mse"] < np.var(x / 255)
    symbols = model.quantise(x)
    np.testing.assert_array_equal(symbols, model.transform(x))
    assert np.abs(symbols).max() == 3
    model.save(tmp_path / "model")
    summary = narrows.compress(x, tmp_path / "x.narrows", model=narrows.load(tmp_path / "model"))
    assert summary.n_bytes < len(x) * 8 * np.log2(7) / 8 + 600, "at most 7 levels for each number"
    restored = narrows.restore(tmp_path / "x.narrows", model=model)
    assert np.abs(restored.astype(int) - model.reconstruct(x)).max() <= 2


def test_a_penalty(add, x):
    add("decorrelate")

    def correlation(*penalties):
        model = Autoencoder(4, penalties=penalties, training=Training(epochs=20), random_state=0).fit(x)
        return np.abs(np.corrcoef(model.transform(x).T) - np.eye(4)).max()

    assert correlation("decorrelate") < 0.5 * correlation("l1")


def test_a_data_format(add, tmp_path, rng):
    add("dat")
    x = rng.normal(size=(60, 3))
    path = narrows.data.write(tmp_path / "x.dat", x)
    opened = narrows.data.open(path, limit=20)
    np.testing.assert_allclose(opened.values, x[:20])
    assert opened.kind == "dat"
    assert narrows.data.open(path, label="x2").shape == (2,)
    with pytest.raises(CorruptFileError, match=r"no column 'y'\. It has: x0, x1, x2"):
        narrows.data.open(path, label="y")
    for text, message in (
        ("a,b\n1,x\n2,y\n", "columns that are not numbers: b"),
        ("a,b\n1,2\n1,2,3,4\n", "not a table with a line of names"),
        ("\n", "not a table"),
    ):
        (tmp_path / "bad.dat").write_text(text)
        with pytest.raises(DataError, match=message):
            narrows.data.open(tmp_path / "bad.dat")
    with pytest.raises(InvalidParameterError, match=r"The option 'label' can be set only for \.dat files"):
        narrows.data.open(x, label="y")
    with pytest.raises(InvalidParameterError, match=r"a path that ends in \.dat\. Got 'x\.doc'"):
        narrows.data.write("x.doc", x)


def test_an_option_of_a_format_is_an_option_of_verbs(new_processes, tmp_path, monkeypatch):
    """In a process of its own, since commands look the options up when they are imported."""
    script = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("dat_format", {str(HERE / "dat.py")!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
from narrows.cli import main
main(["train", "x.dat", "--label", "x2", "--epochs", "1", "-o", "m.safetensors", "--json"])
"""
    table = np.random.default_rng(0).normal(size=(60, 3))
    np.savetxt(tmp_path / "x.dat", table, delimiter=",", header="x0,x1,x2", comments="")
    monkeypatch.chdir(tmp_path)
    done = new_processes.run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert narrows.load(tmp_path / "m.safetensors").shape_ == (2,)


def test_an_artefact(add, x, tmp_path):
    kind = add("typical_error").TypicalError
    model = Autoencoder(4, training=Training(epochs=2), random_state=0).fit(x)
    errors = np.square(model.reconstruct(x, dtype=float) - x).reshape(len(x), -1).sum(1)
    assert model.model_.artefact(kind).quantiles[100] == pytest.approx(errors.max())
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model").model_.artefact(kind)
    np.testing.assert_array_equal(again.quantiles, model.model_.artefact(kind).quantiles)
    assert again.unit == "squared uint8"
    without = Autoencoder(4, artefacts=("pca",), training=Training(epochs=2), random_state=0).fit(x)
    assert without.unmeasured_["typical_error"] == "It was not requested."


def test_a_verb(add, x, tmp_path, monkeypatch):
    monkeypatch.setitem(VERBS, "spread", (add("spread").__name__, "Print how much codes vary."))
    model = Autoencoder(4, training=Training(epochs=2), random_state=0).fit(x)
    model.save(tmp_path / "model")
    result = CliRunner().invoke(main, ["spread", "digits:train", "-m", str(tmp_path / "model")])
    assert result.exit_code == 0, result.output
    assert len(result.output.split()) == 4
