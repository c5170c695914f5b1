"""``narrows generate``: samples, interpolations, manifolds and traversals as pictures, arrays and folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package
from narrows.uses.generate import between, manifold, traversals


@pytest.fixture(scope="module")
def two(narrows, tmp_path_factory):
    """A variational model of digits with a code of two numbers."""
    path = tmp_path_factory.mktemp("models") / "two.safetensors"
    narrows.train(path, "--latent", "2", "--set", "bottleneck=gaussian")
    return str(path)


def test_samples_are_those_of_the_model(narrows, model):
    said = narrows("generate", "-m", model, "-n", "30", "--seed", "5", "-o", "samples.npy")
    assert (said.stdout, said.stderr) == ("samples.npy  30 records of 8×8 uint8\n", "")
    np.testing.assert_array_equal(np.load("samples.npy"), package.load(model).sample(30, random_state=5))


@pytest.mark.usefixtures("fine_pictures")
def test_samples_are_drawn_as_a_grid(narrows, model):
    assert narrows("generate", "-m", model, "-o", "samples.png").stdout == "samples.png\n"
    with Image.open("samples.png") as picture:
        assert picture.width == picture.height > 500
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5
    first = Path("samples.png").read_bytes()
    narrows("generate", "-m", model, "-o", "samples.png", "--force")
    assert Path("samples.png").read_bytes() == first
    narrows("generate", "-m", model, "-o", "samples.png", "--force", "--seed", "1")
    assert Path("samples.png").read_bytes() != first


def test_samples_are_written_as_images(narrows, model):
    narrows("generate", "-m", model, "-n", "3", "-o", "images/")
    assert sorted(path.name for path in Path("images").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    with Image.open("images/000001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), package.load(model).sample(3, random_state=0)[1])


def test_json_says_what_was_made(narrows, model, two):
    assert narrows.json("generate", "-m", model, "-o", "x.npy", "-n", "2") == {
        "path": "x.npy", "model": model, "kind": "samples", "records": 2, "shape": [8, 8], "dtype": "uint8",
        "from": "density", "seed": 0, "warnings": [],
    }  # fmt: skip
    assert narrows.json("generate", "-m", two, "-o", "y.npy")["from"] == "prior"
    assert narrows.json("generate", "-m", two, "-o", "z.npy", "--from", "density")["from"] == "density"
    assert not np.array_equal(np.load("y.npy"), np.load("z.npy"))
    said = narrows.json("generate", "-m", model, "-o", "t.npy", "--traverse", "digits:test#3", "-n", "3")
    assert (said["around"], said["records"], said["columns"], said["deviations"]) == (
        "digits:test#3",
        12,
        3,
        [-3, 0, 3],
    )
    assert sorted(said["numbers"]) == [0, 1, 2, 3]


def test_between_takes_records_of_data_and_files(narrows, model):
    digits = package.data.open("digits:test").values
    np.save("one.npy", digits[8:9])
    narrows("generate", "-m", model, "--between", "digits:test#3", "one.npy", "-n", "4", "-o", "between.npy")
    expected = between(package.load(model), digits[3], digits[8], 4)
    np.testing.assert_array_equal(np.load("between.npy"), expected)
    pairs = ("--between", "digits:test#0", "digits:test#1", "--between", "digits:test#2", "one.npy")
    said = narrows.json("generate", "-m", model, *pairs, "-o", "between.png")
    assert (said["records"], said["columns"]) == (20, 10)
    assert said["between"] == [["digits:test#0", "digits:test#1"], ["digits:test#2", "one.npy"]]
    with Image.open("between.png") as picture:
        assert picture.width > 3 * picture.height


def test_a_manifold_is_drawn_of_two_numbers(narrows, two, model):
    narrows("generate", "-m", two, "--manifold", "-n", "5", "-o", "manifold.npy")
    np.testing.assert_array_equal(np.load("manifold.npy"), manifold(package.load(two), 5).reshape(25, 8, 8))
    narrows("generate", "-m", two, "--manifold", "-o", "manifold.svg")
    refused = narrows("generate", "-m", model, "--manifold", "-o", "x.png", code=2)
    assert "latent dimension 2. This model has latent dimension 4" in refused.stderr


def test_traversals_are_drawn_with_their_numbers(narrows, model):
    narrows("generate", "-m", model, "--traverse", "-n", "5", "-o", "around.npy")
    np.testing.assert_array_equal(np.load("around.npy"), traversals(package.load(model), n=5).records.reshape(20, 8, 8))
    narrows("generate", "-m", model, "--traverse", "digits:test#0", "-o", "traverse.svg")
    assert Path("traverse.svg").read_text().count("<use") > 20, "glyphs of the labels of rows and columns"


def test_vectors_are_drawn_as_curves(narrows, rng):
    np.save("x.npy", rng.normal(size=(60, 12)).astype(np.float32))
    narrows.train("m.safetensors", "--latent", "2", data="x.npy")
    for kind in ((), ("--manifold",), ("--traverse",), ("--between", "x.npy#0", "x.npy#59")):
        narrows("generate", "-m", "m.safetensors", *kind, "-o", "x.png", "--force")
        assert Path("x.png").stat().st_size > 5_000


def test_colour_images_are_drawn(narrows, rng):
    np.save("x.npy", rng.integers(0, 256, size=(30, 9, 10, 3), dtype=np.uint8))
    narrows.train("m.safetensors", "--latent", "2", data="x.npy")
    narrows("generate", "-m", "m.safetensors", "-o", "x.png")
    narrows("generate", "-m", "m.safetensors", "-o", "images/", "-n", "2")
    with Image.open("images/000000.png") as image:
        assert (image.size, image.mode) == ((10, 9), "RGB")


def test_the_recipe_wae_is_sampled_from_its_prior(narrows):
    narrows.train("wae.safetensors", "--recipe", "wae")
    assert narrows.json("generate", "-m", "wae.safetensors", "-o", "x.npy", "-n", "2")["from"] == "prior"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x.png --manifold --traverse", "--manifold and --traverse cannot be combined"),
        ("-o x.png --manifold --between a b", "--between and --manifold cannot be combined"),
        ("-o x.png --manifold --seed 3", "--seed has an effect on samples only"),
        ("-o x.png --from density --traverse", "--from has an effect on samples only"),
        ("-o x.png --seed -1", "--seed must be a whole number ≥ 0"),
        ("-o x.png --between a b -n 1", "-n must be at least 2 with --between"),
        ("-o x.png --from prior", "a model that was trained with a prior"),
        ("-o x.png --from posterior", "--from"),
        ("-o x.png -n 0", "-n"),
        ("-o x.png -n 3000", "can show at most 2,500 records. Got 3,000. Write them to a path that ends in .npy"),
        ("-o x.png -n 1300 --between a b --between c d", "can show at most 2,500 records. Got 2,600"),
        ("-o x.png --manifold -n 51", "can show at most 2,500 records. Got 2,601"),
        ("-o x.gif", "ends in .npy"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, narrows, model):
    refused = narrows("generate", "-m", model, *arguments.split(), code=2)
    assert message in " ".join(refused.stderr.split())
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("digits:test#360", "of digits:test must be from 0 to 359. Got 'digits:test#360'"),
        ("digits:test", "the index of a record, for example 'digits:test#0'"),
        ("other.npy", "trained on records of shape (8, 8). Got 'other.npy' with (9, 8)"),
        ("nowhere.npy#3", "nowhere.npy"),
    ],
)
def test_records_that_are_not_there_are_refused(record, message, narrows, model):
    np.save("other.npy", np.zeros((1, 9, 8), np.uint8))
    refused = narrows("generate", "-m", model, "-o", "x.png", "--between", "digits:test#0", record, code=1)
    assert message in " ".join(refused.stderr.split())
    assert not Path("x.png").exists()


def test_models_with_switches_say_that_they_cannot(narrows):
    settings = ("--set", "network=convolutional", "--set", "network__unpooling=switches")
    narrows.train("m.safetensors", "--set", "network__channels=4", *settings)
    for kind in ((), ("--traverse",)):
        assert "switches" in narrows("generate", "-m", "m.safetensors", *kind, "-o", "x.png", code=1).stderr


def test_more_than_memory_holds_is_an_error_of_one_line(narrows, model):
    failed = narrows("generate", "-m", model, "-n", "3000000000000", "-o", "huge.npy", code=1)
    assert failed.stderr.startswith("Error: Not enough memory.")
    assert not Path("huge.npy").exists()


def test_what_is_read_is_not_replaced(narrows, model):
    records = package.load(model).sample(2, random_state=0)
    np.save("two.npy", records)
    for kind in ("--between two.npy#0 two.npy#1", "--between digits:test#0 two.npy#1", "--traverse two.npy#1"):
        refused = narrows("generate", "-m", model, *kind.split(), "-o", "two.npy", "--force", code=2)
        assert "'two.npy' is also an input" in refused.stderr
    assert np.array_equal(np.load("two.npy"), records)


def test_labels_are_named_as_numbers_are_written(narrows, rng):
    conditional = package.Autoencoder(2, conditional=True, training=package.Training(epochs=1))
    conditional.fit(rng.random((80, 4)), np.arange(80.0) % 40).save("m.safetensors")
    said = narrows.json("generate", "-m", "m.safetensors", "--label", "3", "-n", "4", "-o", "x.npy")
    assert (said["label"], said["records"]) == ("3", 4)
    unknown = narrows("generate", "-m", "m.safetensors", "--label", "x", "-o", "y.npy", code=2).stderr
    assert "Unknown label: 'x'. Choose one of: 0.0, 1.0," in unknown
    assert "11.0 …" in " ".join(unknown.split())
    several = narrows("generate", "-m", "m.safetensors", "--traverse", "-o", "y.npy", code=2).stderr
    assert "label (y, --label). Choose one of: 0.0," in several


@pytest.mark.parametrize("output", ["x.npy", "x.png"])
def test_outputs_are_replaced_only_by_force(output, narrows, model):
    Path(output).write_bytes(b"mine")
    assert "already exists" in narrows("generate", "-m", model, "-o", output, code=1).stderr
    assert Path(output).read_bytes() == b"mine"
    narrows("generate", "-m", model, "-o", output, "--force")
    assert Path(output).read_bytes() != b"mine"
