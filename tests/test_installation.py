"""The base installation reads archives; everything else says how to install it."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
import tomllib
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest

from narrows.io.packages import TRAIN_PACKAGES

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden" / "v1"
MOST_BYTES = 120e6

IN_FOLDER = "import os; os.chdir(sys.argv.pop(1)); from narrows.cli import main; main()"
READ = """
    import hashlib, json, sys
    import narrows
    folder, wanted = sys.argv[1], json.loads(sys.argv[2])
    for name, (model, expected) in wanted.items():
        given = None if model is None else f"{folder}/{model}"
        whole = narrows.restore(f"{folder}/{name}", model=given)
        digest = hashlib.sha256(f"{whole.dtype.name} {whole.shape}\\n".encode())
        digest.update(whole.astype(whole.dtype.newbyteorder("<"), copy=False).tobytes())
        assert digest.hexdigest() == expected, name
        with narrows.open_archive(f"{folder}/{name}", model=given) as archive:
            assert (archive[-1] == whole[-1]).all()
"""


def declared():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0]


def base_distributions():
    """Return the distributions that the base installation brings, with those that they need in turn."""
    found, waiting = {}, [name_of(requirement) for requirement in declared()["dependencies"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting += [name_of(one) for one in requires(name) or [] if ";" not in one]
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return a folder with the packages of the base installation and no others."""
    folder = tmp_path_factory.mktemp("site")
    for one in base_distributions().values():
        for top in {file.parts[0] for file in one.files if file.parts[0] not in {"..", "__pycache__"}}:
            (folder / top).symlink_to(one.locate_file(top))
    (folder / "narrows").symlink_to(ROOT / "narrows")
    own = folder / "narrows-0.dist-info" / "METADATA"
    own.parent.mkdir()
    own.write_text(f"Metadata-Version: 2.1\nName: narrows\nVersion: {declared()['version']}\n")
    return folder


def run(base, script, *arguments):
    """Run a script that finds the standard library and the base installation alone."""
    start = f"import sys; sys.path.insert(0, {str(base)!r})\n"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-c", start + textwrap.dedent(script), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def golden():
    """Return a golden archive of each kind of decoder and residual, with its model and hash."""
    archives = json.loads((GOLDEN / "hashes.json").read_text())["archives"]
    names = [name for name in archives if "embedded" in name or name.startswith("bounded-uint8")]
    return {name: (archives[name]["model"], archives[name]["restored"]) for name in [*names, "table.narrows"]}


def test_the_base_installation_has_no_training_packages(base):
    assert not {path.name for path in base.iterdir()} & TRAIN_PACKAGES.keys()


def test_the_base_installation_reads_the_golden_archives(base):
    done = run(base, READ, str(GOLDEN), json.dumps(golden()))
    assert done.returncode == 0, done.stderr


def test_the_base_installation_takes_less_than_120_megabytes():
    files = [file for one in base_distributions().values() for file in one.files if ".pyc" not in file.name]
    size = sum(Path(file.locate()).stat().st_size for file in files if Path(file.locate()).is_file())
    assert size + sum(path.stat().st_size for path in (ROOT / "narrows").rglob("*.py")) < MOST_BYTES


def test_the_verbs_that_read_archives_run_on_the_base_installation(base, tmp_path):
    script = """
        import sys
        from narrows.cli import main
        folder, out = sys.argv[1:]
        archive = f"{folder}/map-codec-embedded.narrows"
        for words in (["restore", archive, "-o", f"{out}/x.npy"], ["restore", archive, "-o", f"{out}/images/"],
                      ["verify", archive], ["info", archive], ["info", f"{folder}/map-codec.safetensors"], ["recipes"],
                      ["recover", archive, "-o", f"{out}/copy.narrows"]):
            main(words, standalone_mode=False)
    """
    done = run(base, script, str(GOLDEN), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "images").glob("*.png"))) == 300


def test_other_verbs_say_in_one_line_how_to_install_what_they_need(base, tmp_path):
    done = run(base, IN_FOLDER, tmp_path, "train", "digits", "-o", "x.safetensors")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "narrows train needs PyTorch" in done.stderr
    assert "pip install 'narrows[train]'" in done.stderr


def test_names_that_train_say_the_same_in_python(base):
    script = """
        import narrows
        try:
            narrows.Autoencoder
        except narrows.errors.MissingPackageError as error:
            print(error)
    """
    assert "narrows.Autoencoder needs" in run(base, script).stdout


def test_the_packages_that_only_training_needs_are_those_of_its_extra():
    assert {name.lower() for name in TRAIN_PACKAGES.values()} - {"pytorch"} | {"torch"} == {
        name_of(requirement) for requirement in declared()["optional-dependencies"]["train"]
    }


@pytest.mark.slow
def test_pip_installs_the_base_into_an_environment_of_its_own(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    python = tmp_path / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = str(ROOT / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, str(ROOT)], check=True)
    done = subprocess.run(
        [python, "-I", "-c", textwrap.dedent(READ), str(GOLDEN), json.dumps(golden())], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path), "platbase": str(tmp_path)}))
    brought = [folder for folder in packages.iterdir() if folder.name.partition("-")[0] not in {"pip", "setuptools"}]
    assert not {folder.name for folder in brought} & TRAIN_PACKAGES.keys()
    assert sum(file.stat().st_size for folder in brought for file in folder.rglob("*") if file.is_file()) < MOST_BYTES
