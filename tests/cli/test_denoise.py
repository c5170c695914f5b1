"""``narrows denoise``: records restored, and with --demo-noise the picture, the table and the numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package
from narrows.evaluation.denoising import add_noise, compare_denoisers

METHODS = ["noisy", "median filter", "non-local means", "PCA", "narrows"]

pytestmark = pytest.mark.usefixtures("few_settings")


@pytest.fixture
def demo(narrows, denoising_model):
    """Call ``denoise`` with noise of 0.5 on a few digits."""

    def call(*arguments, output="x.npy", code=0):
        given = ("denoise", "digits:test", "-m", denoising_model, "-o", output, "--limit", "20")
        return narrows(*given, "--demo-noise", "0.5", *arguments, code=code)

    return call


def test_noisy_records_come_back_restored(narrows, denoising_model):
    model = package.load(denoising_model)
    noisy = add_noise(model, "digits:test", 0.5)
    np.save("noisy.npy", noisy)
    said = narrows("denoise", "noisy.npy", "-m", denoising_model, "-o", "restored.npy")
    assert said.stdout == "restored.npy  360 records of 8×8 uint8\n"
    assert said.stderr == ""
    np.testing.assert_array_equal(np.load("restored.npy"), model.denoise(noisy))
    assert narrows.json("denoise", "noisy.npy", "-m", denoising_model, "-o", "x.npy", "--limit", "3") == {
        "path": "x.npy", "records": 3, "shape": [8, 8], "dtype": "uint8", "warnings": [],
    }  # fmt: skip


@pytest.mark.parametrize("noise", [(), ("--demo-noise", "0.5")])
def test_images_keep_their_names(noise, narrows, denoising_model):
    for name in ("a/one.png", "b/two.png"):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 50, np.uint8)).save(Path("photos", name))
    narrows("denoise", "photos", "-m", denoising_model, "-o", "restored/", *noise)
    files = sorted(path.relative_to("restored").as_posix() for path in Path("restored").rglob("*.png"))
    assert files == ["a/one.png", "b/two.png"]


def test_a_model_that_never_saw_noise_works_with_a_remark(narrows, model):
    said = narrows("denoise", "digits:test", "-m", model, "-o", "x.npy")
    assert "trained without corruption" in said.stderr
    assert len(np.load("x.npy")) == 360
    quiet = narrows("denoise", "digits:test", "-m", model, "-o", "y.npy", "--quiet")
    assert quiet.stderr == ""


@pytest.mark.usefixtures("fine_pictures")
def test_demo_noise_draws_three_rows_and_prints_a_table(demo):
    said = demo(output="x.png").stdout.splitlines()
    assert said[0] == "x.png"
    assert [line.split("  ")[0] for line in said[3:8]] == METHODS
    assert said[-1] == "Measured on 20 records. The settings of the other methods were tuned on these records."
    with Image.open("x.png") as picture:
        assert picture.height > 400


def test_the_table_says_what_the_numbers_are(demo, denoising_model):
    lines = demo().stdout.splitlines()
    assert lines[0] == "x.npy  20 records of 8×8 uint8"
    source = package.data.open("digits:test", limit=20)
    methods = compare_denoisers(package.load(denoising_model), source, 0.5)["methods"]
    for line in lines[3:8]:
        name = next(name for name in METHODS if line.startswith(name))
        if methods[name]["missing"]:
            continue
        numbers = line.removeprefix(name).split()
        assert numbers[0] == f"{methods[name]['psnr_db']:.2f}"
        if name != "noisy":
            assert numbers[1] == f"{methods[name]['gain_db']:+.2f}"


def test_demo_noise_writes_what_was_restored(demo, denoising_model):
    demo()
    model = package.load(denoising_model)
    noisy = add_noise(model, package.data.open("digits:test", limit=20), 0.5)
    np.testing.assert_array_equal(np.load("x.npy"), model.denoise(noisy))


def test_json_has_all_numbers_and_settings(narrows, denoising_model):
    given = ("denoise", "digits:test", "-m", denoising_model, "--limit", "20", "--demo-noise", "0.5", "--seed", "3")
    for output in ("x.png", "x.npy"):
        said = narrows.json(*given, "-o", output)
        assert (said["path"], said["data"], said["model"], said["seed"], said["noise"], said["records"]) == (
            output, "digits:test", denoising_model, 3, 0.5, 20,
        )  # fmt: skip
        assert list(said["methods"]) == METHODS
        assert said["methods"]["median filter"]["settings"]["size"] in {3, 5}
        source = package.data.open("digits:test", limit=20)
        assert said["methods"] == compare_denoisers(package.load(denoising_model), source, 0.5, 3)["methods"]


def test_the_seed_draws_the_noise(demo):
    pictures = []
    for seed in (1, 1, 2):
        demo("--seed", seed, "-n", "1", "--force", output="x.png")
        pictures.append(Path("x.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_n_says_how_many_are_drawn(demo):
    widths = []
    for n in (2, 5):
        demo("-n", n, "--force", output="x.svg")
        widths.append(Path("x.svg").read_text().count("<image"))
    assert widths == [6, 15]


def test_without_scikit_image_the_table_says_how_to_install_it(demo, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    (line,) = (line for line in demo().stdout.splitlines() if line.startswith("non-local means"))
    assert line.split(maxsplit=4)[2:] == ["-", "-", "needs scikit-image: pip install scikit-image"]


def test_vectors_are_drawn_as_curves(narrows):
    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32))
    narrows.train("m.safetensors", "--latent", "2", "--set", "corruption=gaussian", data="x.npy")
    said = narrows("denoise", "x.npy", "-m", "m.safetensors", "-o", "x.png", "--demo-noise", "0.5")
    assert "images only" in said.stdout
    assert Path("x.png").stat().st_size > 10_000


def test_colour_images_are_drawn(narrows):
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, size=(30, 9, 10, 3), dtype=np.uint8))
    narrows.train("m.safetensors", "--recipe", "conv-denoising", data="x.npy")
    narrows("denoise", "x.npy", "-m", "m.safetensors", "-o", "x.png", "--demo-noise", "0.2", "-n", "3")


def test_no_noise_is_exact_and_one_record_will_do(narrows, denoising_model):
    given = ("denoise", "digits:test", "-m", denoising_model, "-o", "x.png", "--limit", "1", "--demo-noise", "0")
    lines = narrows(*given).stdout.splitlines()
    assert lines[3].split() == ["noisy", "exact"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x.npy --seed 3", "--seed has no effect without --demo-noise"),
        ("-o x.npy -n 3", "-n has no effect without --demo-noise"),
        ("-o x.npy --demo-noise 0.5 -n 3", "-n has an effect only if the output is a picture"),
        ("-o x.npy --demo-noise -1", "--demo-noise must be a number ≥ 0. Got -1."),
        ("-o x.npy --demo-noise nan", "--demo-noise must be a number ≥ 0"),
        ("-o x.npy --demo-noise inf", "--demo-noise must be a number ≥ 0"),
        ("-o x.npy --demo-noise 0.5 --seed -1", "--seed must be a whole number ≥ 0"),
        ("-o x.png", "Add --demo-noise X"),
        ("-o x.gif", "ends in .npy"),
        ("-o x.gif --demo-noise 0.5", "ends in .npy"),
        ("-o x.png --demo-noise 0.5 -n 0", "-n"),
        ("-o x.npy --limit 0", "The 'limit' must be"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, narrows, denoising_model):
    refused = narrows("denoise", "digits:test", "-m", denoising_model, *arguments.split(), code=2)
    assert message in " ".join(refused.stderr.split())
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("noise", [(), ("--demo-noise", "0.5")])
def test_records_of_another_shape_are_refused(noise, narrows, denoising_model):
    np.save("x.npy", np.zeros((3, 9, 8), np.uint8))
    refused = narrows("denoise", "x.npy", "-m", denoising_model, "-o", "y.npy", *noise, code=1)
    assert "(8, 8)" in refused.stderr
    assert not Path("y.npy").exists()


@pytest.mark.parametrize(("output", "few"), [("x.npy", ()), ("x.png", ("-n", "1"))])
def test_outputs_are_replaced_only_by_force(output, few, demo):
    Path(output).write_bytes(b"mine")
    assert "already exists" in demo(*few, output=output, code=1).stderr
    assert Path(output).read_bytes() == b"mine"
    demo(*few, "--force", output=output)
    assert Path(output).read_bytes() != b"mine"


def test_a_folder_may_be_named_like_a_picture(demo):
    demo(output="x.png/")
    assert len(list(Path("x.png").iterdir())) == 20
