"""``narrows picture``: every kind, every option, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

KINDS = ("reconstructions", "filters", "map", "curves")


def size(path):
    with Image.open(path) as image:
        return image.size


@pytest.mark.usefixtures("fine_pictures")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_a_picture_of_its_own(kind, narrows, model):
    result = narrows("picture", "digits:test", "-m", model, "-o", "x.png", "--kind", kind)
    assert result.stdout == "x.png\n"
    assert min(size("x.png")) > 300


def test_filters_and_curves_need_no_data(narrows, model):
    for kind in ("filters", "curves"):
        narrows("picture", "-m", model, "-o", f"{kind}.svg", "--kind", kind)
        assert Path(f"{kind}.svg").read_text().lstrip().startswith("<?xml")
    assert "Missing argument 'DATA'" in narrows("picture", "-m", model, "-o", "x.png", code=2).stderr


def test_the_usual_kind_is_denoising_for_a_model_trained_so(narrows, model, denoising_model):
    for name in (model, denoising_model):
        narrows("picture", "digits:test", "-m", name, "-o", f"{Path(name).stem}.png", "-n", "4")
    assert size("denoising.png")[1] > size("digits.png")[1]  # three rows, not two
    refused = narrows("picture", "digits:test", "-m", model, "-o", "x.png", "--kind", "denoising", code=2)
    assert "trained without corruption" in refused.stderr


def test_the_seed_draws_the_noise(narrows, denoising_model):
    pictures = []
    for seed in (1, 1, 2):
        narrows("picture", "digits:test", "-m", denoising_model, "-o", "x.png", "-n", "1", "--seed", seed, "--force")
        pictures.append(Path("x.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_n_tile_and_spacing_change_the_picture(narrows, model):
    def drawn(*arguments):
        narrows("picture", "digits:test", "-m", model, "-o", "x.png", "--force", *arguments)
        return Path("x.png").read_bytes()

    assert drawn("-n", "2") != drawn("-n", "3")
    filters = ("--kind", "filters")
    assert len({drawn(*filters), drawn(*filters, "--tile", "3x7"), drawn(*filters, "--spacing", "4")}) == 3


def test_the_report_is_one_page_with_numbers_pictures_chain_and_command(narrows, model):
    narrows("picture", "digits:test", "-m", model, "-o", "report.html", "-n", "4")
    page = Path("report.html").read_text(encoding="utf-8")
    for text in ("sse_per_record", "PCA, 4 components", "dense 64-4", "digits:test", "training__batch_size"):
        assert text in page
    assert f"narrows picture digits:test -m {model} -o report.html -n 4" in page
    assert page.count("data:image/png;base64,") == 4  # reconstructions, map, filters, curves
    assert "http" not in page.replace("Content-Security-Policy", "").replace("http-equiv", "")


def test_the_report_of_a_denoising_model_shows_the_noise(narrows, denoising_model):
    narrows("picture", "digits:test", "-m", denoising_model, "-o", "report.html", "--limit", "50", "-n", "3")
    assert Path("report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 5


@pytest.mark.usefixtures("pca_only")
def test_records_that_are_no_images_are_drawn_as_curves(narrows):
    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32))
    narrows.train("m.safetensors", "--latent", "2", data="x.npy")
    for kind in KINDS:
        few = ("-n", "3") if kind == "reconstructions" else ()
        narrows("picture", "x.npy", "-m", "m.safetensors", "-o", f"{kind}.png", "--kind", kind, *few)
    narrows("picture", "x.npy", "-m", "m.safetensors", "-o", "report.html", "-n", "3")
    assert Path("report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 4


@pytest.mark.usefixtures("pca_only")
def test_colour_images_and_their_kernels_are_drawn(narrows):
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, size=(30, 9, 10, 3), dtype=np.uint8))
    narrows.train("m.safetensors", "--recipe", "conv", "--set", "network__channels=4,8", data="x.npy")
    for kind in KINDS:
        few = ("-n", "3") if kind == "reconstructions" else ()
        narrows("picture", "x.npy", "-m", "m.safetensors", "-o", f"{kind}.png", "--kind", kind, *few)


@pytest.mark.usefixtures("pca_only")
def test_a_code_of_one_number_has_no_map(narrows):
    narrows.train("m.safetensors", "--latent", "1")
    refused = narrows("picture", "digits:test", "-m", "m.safetensors", "-o", "x.png", "--kind", "map", code=2)
    assert "latent dimension of at least 2" in refused.stderr
    narrows("picture", "digits:test", "-m", "m.safetensors", "-o", "report.html", "-n", "2")  # the rest is there


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x.gif", "ends in .png, .svg or .pdf"),
        ("-o x.png --kind report", "ends in .html"),
        ("-o x.html --kind map", "ends in .png"),
        ("-o x.png --kind mop", "'mop' is not one of"),
        ("-o x.png -n 0", "-n"),
        (
            "-o x.png --tile 3x7",
            "--tile has an effect only on pictures of kind filters. Got the kind 'reconstructions'.",
        ),
        ("-o x.png --kind curves -n 3", "-n has an effect only on pictures of kind"),
        ("-o x.png --kind curves --limit 3", "--limit has an effect only on pictures of kind"),
        ("-o x.png --kind filters --tile 37", "--tile must have the form ROWSxCOLUMNS"),
        ("-o x.png --kind filters --tile 0x7", "tile"),
        ("-o x.png --kind filters --spacing -1", "spacing"),
        ("-o x.png --limit 0", "The 'limit' must be"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message, narrows, model):
    result = narrows("picture", "digits:test", "-m", model, *arguments.split(), code=2)
    assert message in " ".join(result.stderr.split())
    assert list(Path().iterdir()) == []


def test_pictures_are_replaced_only_by_force(narrows, model):
    Path("x.png").write_bytes(b"mine")
    assert "already exists" in narrows("picture", "-m", model, "-o", "x.png", "--kind", "curves", code=1).stderr
    assert Path("x.png").read_bytes() == b"mine"


@pytest.mark.usefixtures("pca_only")
def test_the_heading_of_a_report_is_no_whole_path(narrows, monkeypatch):
    monkeypatch.setattr("narrows.evaluation.model_report._pictures", lambda *arguments: {})
    Path("a/b").mkdir(parents=True)
    np.save("a/b/x.npy", np.random.default_rng(0).random((40, 6)))
    narrows.train("m.safetensors", data=os.path.abspath("a/b/x.npy"))
    narrows("picture", "a/b/x.npy", "-m", "m.safetensors", "-o", "x.html")
    assert "<h1>An autoencoder of x.npy</h1>" in Path("x.html").read_text(encoding="utf-8")
