"""What README and docs show works as shown, and their numbers are the measured ones."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import narrows
import narrows.data
from narrows import Autoencoder, Training
from narrows.cli import main
from narrows.data.idx_writer import write_idx
from narrows.estimators.recipes import RECIPES
from narrows.model.artefacts.measuring import measure
from narrows.networks import Dense

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GENERATIVE = (ROOT / "docs" / "generative.md").read_text()
COMPRESSION = (ROOT / "docs" / "compression.md").read_text()
CHINESE = {"README.zh-CN.md": "README.md", "docs/documents.zh-CN.md": "docs/documents.md"}
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    (block,) = snippets(README, "python")
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.usefixtures("few_settings", "few_digits", "coarse_pictures")
def test_readme_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = snippets(README, "sh")
    for line in block.splitlines():
        result = CliRunner().invoke(main, quick(line))
        assert result.exit_code == 0, f"{line}\n{result.output}"


def quick(line: str, more: str = "--epochs 1") -> list[str]:
    """Return the arguments of a command as shown; training and sampling no longer than it takes to try it."""
    line = re.sub(r"residual__epochs=\d+", "residual__epochs=1", line)
    verb, *arguments = shlex.split(re.sub(r"--importance-samples \d+", "--importance-samples 5", line))
    assert verb == "narrows"
    if arguments[0] != "train" or "--recipe bytes" in line:
        return arguments
    return [*arguments, *more.split()]  # what is said last counts


@pytest.mark.usefixtures("few_digits", "coarse_pictures")
def test_the_commands_on_compression_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_digits) -> None:
    monkeypatch.chdir(tmp_path)
    images = large_digits[0][:40]
    write_images("thumbnails", images)
    write_images("pieces", images)
    np.save("field.npy", np.sin(np.arange(30)[:, None] / 9) * np.cos(np.arange(40) / 7))
    write_images("scans", images[:36].reshape(4, 3, 3, 16, 16).swapaxes(2, 3).reshape(4, 48, 48)[:, :40])
    for line in "".join(snippets(COMPRESSION, "sh")).splitlines():
        # This one is asked for a quality, which it must have learned to reach.
        more = "--epochs 30 --batch-size 32" if "-o model.safetensors" in line else "--epochs 1 --limit 100"
        if "--recipe lossless" in line:
            more += " --set residual__epochs=1 --set residual__n_hidden=4"
        if "pieces/" in line:
            more += " --set network=strided --set network__channels=6,8"
        shorter = line.replace("1437:1447", "240:250").replace("--effort 9", "--effort 2")
        result = CliRunner().invoke(main, quick(shorter, more))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    with Image.open("scans-restored/003.png") as scan:
        assert scan.size == (48, 40)
    with Image.open("images/000359.png") as digit:
        assert digit.size == (8, 8)
    assert np.load("some.npy").shape == (10, 8, 8)


@pytest.mark.usefixtures("few_digits", "coarse_pictures")
def test_the_commands_and_the_python_on_new_records_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On few of the small digits: what is tested is that they are as shown, not how good they get."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    commands = "".join(snippets(GENERATIVE, "sh")).replace("\\\n", " ").replace("mnist", "digits")
    for line in commands.splitlines():
        result = CliRunner().invoke(main, quick(line, "--epochs 1 --limit 100"))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert np.load("samples.npy").shape == (1000, 8, 8)
    assert len(list(Path("images").iterdir())) == 100
    names: dict[str, Any] = {"narrows": narrows}
    for block in snippets(GENERATIVE, "python"):
        exec(compile(block.replace("mnist", "digits"), "generative.md", "exec"), names)
    assert names["images"].shape == (64, 8, 8)


@pytest.mark.usefixtures("few_digits")
def test_the_commands_and_the_python_on_processes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    text = (ROOT / "docs" / "processes.md").read_text()
    for line in "".join(snippets(text, "sh")).splitlines():
        result = CliRunner().invoke(main, quick(line))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    plain = "compress digits:all -m model.safetensors --max-error 10% --chunk-records 128 -o plain.narrows"
    assert CliRunner().invoke(main, plain.split()).exit_code == 0
    assert Path("all.narrows").read_bytes() == Path("plain.narrows").read_bytes()
    names: dict[str, Any] = {}
    (block,) = snippets(text, "python")
    exec(compile(block, "processes.md", "exec"), names)
    assert names["merged"].n_records == 360


@pytest.mark.usefixtures("few_digits", "coarse_pictures")
def test_the_commands_and_the_python_on_maps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    text = (ROOT / "docs" / "maps.md").read_text()
    for line in "".join(snippets(text, "sh")).splitlines():
        result = CliRunner().invoke(main, quick(line, "--epochs 1 --limit 60"))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    names: dict[str, Any] = {"narrows": narrows}
    (block,) = snippets(text, "python")
    exec(compile(block, "maps.md", "exec"), names)
    assert names["page"].startswith("<!doctype html>")


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_digits: Any) -> Path:
    """A folder to work in, where MNIST is a few digits of its size."""
    (tmp_path / "mnist").mkdir()
    for prefix, n in (("train", 20), ("t10k", 20)):
        labels = np.arange(n, dtype=np.uint8) % 10
        images = np.pad(large_digits[0][:n], ((0, 0), (6, 6), (6, 6)))
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            with open(tmp_path / "mnist" / f"{prefix}-{name}-ubyte", "wb") as file:
                write_idx(file, [values], values.shape, values.dtype)
    monkeypatch.setenv("NARROWS_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands_on(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (narrows .*)$", text, flags=re.MULTILINE)
    assert len(lines) >= 20
    return [line.replace("--latent 1568", "--latent 15").replace("--n-labels 1000", "--n-labels 10") for line in lines]


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("page", ["classics.md", "documents.md"])
def test_the_commands_on_mnist_ask_for_what_there_is(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the training; models of each recipe are trained and used elsewhere, and here by `make test-slow`."""

    def fit(model: Any, *_: Any, **__: Any) -> None:
        raise narrows.errors.DataError("The training begins.")

    for estimator in (Autoencoder, narrows.AutoencoderClassifier, narrows.ByteModel):
        monkeypatch.setattr(estimator, "fit", fit)
    Path("names.txt").write_text("emma\nolivia\n")
    np.save("beats.npy", np.sin(np.arange(60) / 7 + np.arange(40)[:, None]))
    for line in commands_on(page):
        _, *arguments = shlex.split(line)
        if "train" in arguments[:2]:
            result = CliRunner().invoke(main, arguments)
            assert "The training begins." in result.output, f"{line}\n{result.output}"
        else:
            name, command, rest = main.resolve_command(click.Context(main), arguments)
            assert command is not None
            command.make_context(name, rest)


@pytest.mark.slow
@pytest.mark.usefixtures("few_settings", "coarse_pictures")
@pytest.mark.parametrize("page", ["classics.md", "documents.md"])
def test_the_commands_on_mnist_run(page: str, small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PCA and the density, which are drawn; what else is measured takes longer than all training here."""
    few = ["pca", "density"]
    monkeypatch.setattr(
        "narrows.estimators.continuing.measure", lambda model, records, names: measure(model, records, few)
    )
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    Path("names.txt").write_text("emma\nolivia\nava\nnoah\nmia\n" * 20)
    noisy = narrows.data.open("mnist:test").values
    assert noisy.shape == (20, 28, 28)
    write_images("noisy", noisy[:3])
    np.save("beats.npy", np.sin(np.arange(60) / 7 + np.arange(40)[:, None]))
    for line in commands_on(page):
        result = CliRunner().invoke(main, [*quick(line), *(["--force"] if " -o " in line else [])])
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.slow
def test_the_python_on_the_classics_runs(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    train = narrows.data.open("mnist:train")
    names: dict[str, Any] = {"narrows": narrows, "images": np.tile(train.values, (52, 1, 1))}
    names["labels"] = np.tile(train.labels, 52)
    for block in snippets((ROOT / "docs" / "classics.md").read_text(), "python"):
        exec(compile(block, "classics.md", "exec"), names)
    assert names["activity"].shape == (20, 500)
    assert names["classifier"].predict("mnist:test").shape == (20,)


def write_images(folder: str, images: np.ndarray) -> None:
    Path(folder).mkdir()
    for position, image in enumerate(images):
        Image.fromarray(image).save(f"{folder}/{position:03}.png")


@pytest.mark.usefixtures("few_digits")
def test_the_python_on_compression_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 2)
    (block,) = (block for block in snippets(COMPRESSION, "python") if not re.search("field|indices|waves", block))
    names: dict[str, object] = {}
    exec(compile(block, "compression.md", "exec"), names)
    digits, one, some = (names[name] for name in ("digits", "one", "some"))
    assert (digits.shape, digits.dtype) == ((120, 8, 8), np.uint8)
    np.testing.assert_array_equal(one, digits[5])
    np.testing.assert_array_equal(some, digits[100:])


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
@pytest.mark.filterwarnings("ignore::narrows.errors.UnfinishedWarning")
def test_the_python_on_continuing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in snippets((ROOT / "docs" / "continuing.md").read_text(), "python"):
        exec(compile(block, "continuing.md", "exec"), names)
    assert narrows.restore("digits.narrows", model=names["model"]).shape == names["X"].shape
    assert len(narrows.load("so-far.safetensors").history_) >= 3
    assert len(narrows.load("digits.safetensors").history_) == 6


def test_the_python_on_pytorch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 2)
    names: dict[str, Any] = {}
    for block in snippets((ROOT / "docs" / "pytorch.md").read_text(), "python"):
        exec(compile(block, "pytorch.md", "exec"), names)
    assert names["mean"].shape == names["log_variance"].shape == names["codes"].shape == (1437, 4)
    assert names["restored"].shape == names["X"].shape


def test_the_python_on_series_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in snippets((ROOT / "docs" / "series.md").read_text(), "python"):
        exec(compile(block, "series.md", "exec"), names)
    assert names["restored"].shape == names["x"].shape == narrows.restore("x.narrows", model=names["model"]).shape


def test_the_commands_on_series_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    times = np.datetime_as_string(np.datetime64("2024-03-01T00:00") + 10 * np.arange(2000), unit="m")
    waves = np.sin(np.arange(2000)[:, None] / [11, 17])
    rows = [f"{time.replace('T', ' ')},{a:.2f},{b:.3f}" for time, (a, b) in zip(times.tolist(), waves, strict=True)]
    Path("plant.csv").write_text("\n".join(["when,temp,load", *rows]) + "\n")
    for name, part in (("last-month", rows[:1500]), ("today", rows[1500:])):
        Path(f"{name}.csv").write_text("\n".join(["when,temp,load", *part]) + "\n")
    groups = [f"{'ab'[i % 2]},{row}" for i, row in enumerate(rows)]
    Path("plants.csv").write_text("\n".join(["plant,when,temp,load", *groups]) + "\n")
    np.save("waves.npy", waves)
    np.save("beats.npy", np.sin(np.arange(60) / 7 + np.arange(40)[:, None]))
    for block in snippets((ROOT / "docs" / "series.md").read_text(), "sh"):
        for line in block.splitlines():
            _, *arguments = shlex.split(line)
            done = CliRunner().invoke(main, [*arguments, "--force"])
            assert done.exit_code == 0, (line, done.output)
    assert len(Path("week.csv").read_text().splitlines()) == 1 + 7 * 144
    assert len(Path("night.csv").read_text().splitlines()) == 1 + 8 * 6


def test_the_python_on_text_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in snippets((ROOT / "docs" / "text.md").read_text(), "python"):
        exec(compile(block, "text.md", "exec"), names)


def test_the_commands_on_text_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("emma\nolivia\nava\nnoah\nmia\n" * 20)
    Path("held.txt").write_text("emmy\nlucas\n\n")
    Path("people.csv").write_text("id,name\n" + "".join(f"{i},name{i}\n" for i in range(40)))
    for block in snippets((ROOT / "docs" / "text.md").read_text(), "sh"):
        for line in block.splitlines():
            options = "--epochs 1 --set network=dense --set network__embedding=4 --latent 4"
            result = CliRunner().invoke(main, quick(line, options))
            assert result.exit_code == 0, f"{line}\n{result.output}"
    assert len(Path("two.txt").read_text().splitlines()) == 2


def test_the_indices_on_compression_are_some() -> None:
    (block,) = (block for block in snippets(COMPRESSION, "python") if "indices" in block)
    exec(compile(block.replace("epochs=5", "epochs=1"), "compression.md", "exec"), {})


def test_the_waves_on_compression_need_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in snippets(COMPRESSION, "python") if "waves" in block)
    names: dict[str, Any] = {}
    exec(compile(block, "compression.md", "exec"), names)
    assert names["corner"].shape == (10, 10)


def test_the_field_on_compression_comes_back_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    height, width = np.mgrid[:70, :81]
    field = (np.sin(height / 9) + np.cos(width / 13)).astype(np.float32)
    field[:9, :5] = np.nan
    np.save("field.npy", field)
    (block,) = (block for block in snippets(COMPRESSION, "python") if "field" in block)
    names: dict[str, Any] = {}
    exec(compile(block.replace("4000", "100"), "compression.md", "exec"), names)
    assert 0 < len(names["pieces"]) < 100
    np.testing.assert_array_equal(np.isnan(names["back"]), np.isnan(field))
    assert np.nanmax(np.abs(names["back"] - field)) <= 0.001 * (np.nanmax(field) - np.nanmin(field))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_and_settings_in_the_docs_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"--recipe ([\w-]+)", text)) <= {*RECIPES, "bytes", "columns"}
    for name, changes in re.findall(r'narrows\.recipe\("([\w-]+)"([^)]*)\)', text):
        settings = dict(re.findall(r"(\w+)=([^,\s]+)", changes))
        RECIPES[name]().set_params(**{key: json.loads(value) for key, value in settings.items()})


def test_numbers_are_the_measured_ones() -> None:
    documents = _load(ROOT / "bench" / "documents.py")
    numbers = documents.all_numbers()
    assert {page.name for page in documents.PAGES} >= {"README.md", "README.zh-CN.md", "documents.zh-CN.md", "maps.md"}
    for page in documents.PAGES:
        text = page.read_text()
        assert text == documents.fill(text, numbers), page


def commands(text: str) -> list[str]:
    """Return what a page tells to type, each on one line and without what is said about it."""
    lines = re.findall(r"^(?:    )?(narrows [a-z].*)$", text.replace("\\\n", " "), flags=re.MULTILINE)
    return [" ".join(line.split("  #")[0].split()) for line in lines]


@pytest.mark.parametrize("chinese", CHINESE)
def test_a_page_in_chinese_has_the_commands_and_the_code_of_the_english_one(chinese: str) -> None:
    text, english = (ROOT / chinese).read_text(), (ROOT / CHINESE[chinese]).read_text()
    assert set(commands(text)) <= set(commands(english))
    assert len(commands(text)) >= 15
    codes = [[re.sub(r" *#.*", "", line) for line in code.splitlines()] for code in snippets(text, "python")]
    known = {re.sub(r" *#.*", "", line) for code in snippets(english, "python") for line in code.splitlines()}
    assert {line for code in codes for line in code} <= known


def test_every_section_in_chinese_ends_with_the_commands_that_replace_a_script() -> None:
    text = (ROOT / "docs" / "documents.zh-CN.md").read_text()
    sections = re.split(r"^## 文档 \d", text, flags=re.MULTILINE)[1:]
    assert len(sections) == 5
    for section in sections:
        assert re.search(r"替代整个脚本的命令：\n\n(    narrows .*\n)+\s*\Z", section)


def test_what_is_not_measured_yet_is_a_dash() -> None:
    documents = _load(ROOT / "bench" / "documents.py")
    assert set(documents.stacked({}).values()) == {"—"}
    some = documents.stacked({"sda": {"pretrained": {"test_error_percent": 1.304}}})
    assert (some["sda:pretrained"], some["sda:random"]) == ("1.30 %", "—")


@pytest.mark.filterwarnings("ignore::narrows.errors.WorseThanPCAWarning")
def test_a_row_of_the_defaults_says_how_to_measure_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a model without a linear path, which is not compared with PCA while it is trained."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    defaults = _load(ROOT / "bench" / "defaults.py")
    model = Autoencoder(2, network=Dense(widths=(4,)), training=Training(epochs=1), random_state=0)
    monkeypatch.setattr("narrows.recipe", lambda name, **changes: model)
    x = np.random.default_rng(0).normal(size=(50, 5))
    row = defaults.measure(defaults.Dataset("Wine quality", lambda: (x, x)), 3, 2)
    assert row["command"] == "python bench/defaults.py --only 'Wine quality' --seed 3 --threads 2"
    assert row["held_out_ratio"] is None


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("few_digits", "coarse_pictures")
def test_the_commands_and_the_python_on_outliers_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 20)
    np.save("cars.npy", np.random.default_rng(0).normal(size=(100, 3)))
    text = (ROOT / "docs" / "outliers.md").read_text()
    for line in "".join(snippets(text, "sh")).splitlines():
        result = CliRunner().invoke(main, quick(line))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert json.loads(Path("today.json").read_text())[0]["index"] == 0
    names: dict[str, Any] = {}
    for block in snippets(text, "python"):
        exec(compile(block, "outliers.md", "exec"), names)
    assert (names["scores"].argmax(), names["parts"][7].argmax()) == (7, 2)
    assert names["detector"].predict(names["X"])[7] == -1
