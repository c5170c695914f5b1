"""What commands import: start-up is quick because modules that take long are imported where they are needed."""

import subprocess
import sys

import pytest

from narrows import Autoencoder, Training, compress

TORCH = {"torch", "sklearn", "scipy", "matplotlib", "PIL", "pandas", "pyarrow"}
OF_OTHERS = {
    *("narrows.archive.table_model", "narrows.codec.columns", "narrows.codec.fields.block", "narrows.archive.series"),
    *("narrows.archive.field_reader", "narrows.archive.description", "narrows.archive.recovery"),
}
SHOW = "import sys; print(*sys.modules)"


def imported(code):
    """Return the modules that a new process has imported after some code."""
    done = subprocess.run([sys.executable, "-c", f"{code}\n{SHOW}"], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def call(*arguments):
    return f"from narrows.cli import main\nmain({[*arguments]!r}, standalone_mode=False)"


@pytest.fixture(scope="module")
def archive(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("start_up")
    images = digits[0][:50]
    model = Autoencoder(2, network="dense", training=Training(epochs=1), random_state=0).fit(images)
    model.save(folder / "m.safetensors")
    compress(images, folder / "a.narrows", model=model, embed_model=True)
    return folder


def test_the_package_is_imported_without_numpy():
    assert imported("import narrows") & {*TORCH, "numpy", "importlib.metadata", "click", "rich"} == set()


def test_help_needs_no_numpy():
    assert imported(call("train", "--help")) & {*TORCH, "numpy", "rich"} == set()


def test_to_restore_images_imports_neither_training_nor_other_kinds_of_archives(archive):
    loaded = imported(call("restore", f"{archive}/a.narrows", "-o", f"{archive}/x.npy", "-q"))
    assert "narrows.archive.restore" in loaded
    assert loaded & {*TORCH, *OF_OTHERS, "rich"} == set()


@pytest.mark.slow
def test_to_evaluate_a_model_imports_of_scikit_learn_only_its_base(archive):
    loaded = imported(call("evaluate", "digits:test", "-m", f"{archive}/m.safetensors", "-q"))
    assert "sklearn.base" in loaded
    rarely = {f"sklearn.{name}" for name in ("metrics", "pipeline", "preprocessing", "decomposition", "mixture")}
    others = {"torch.onnx", "narrows.estimators.outliers.detector", "narrows.estimators.byte_model"}
    assert loaded & {*rarely, *others, "matplotlib"} == set()
