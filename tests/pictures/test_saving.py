"""Saving a picture, and the manners of the package as a whole."""

import subprocess
import sys
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from narrows.errors import DataNotFoundError, InvalidParameterError, OutputExistsError
from narrows.pictures import curves, filters, maps, reconstructions, save

X = np.random.default_rng(0).random((3, 6, 5))
DRAWN = {
    "reconstructions": lambda: reconstructions(X, X / 2),
    "filters": lambda: filters(X, shape=(6, 5)),
    "maps": lambda: maps({"a": X[:, 0, :2]}, ["x", "y", "<&$"]),
    "curves": lambda: curves([{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0}]),
}


@pytest.fixture(scope="module")
def drawn():
    """Return a function that returns two figures of the same, each drawn once for all formats."""
    return cache(lambda name: (DRAWN[name](), DRAWN[name]()))


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_the_suffix_says_the_format(tmp_path, suffix, magic, drawn):
    path = save(drawn("curves")[0], tmp_path / f"curves{suffix}")
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in tmp_path.iterdir()] == [f"curves{suffix}"]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    "suffix", [".png", *[pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".svg", ".pdf")]]
)
def test_the_same_input_gives_the_same_bytes(tmp_path, name, suffix, drawn):
    first, second = (save(figure, tmp_path / f"{i}{suffix}").read_bytes() for i, figure in enumerate(drawn(name)))
    assert first == second


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="--force"):
        save(DRAWN["filters"](), path)
    assert path.read_bytes() == b"precious"
    save(DRAWN["filters"](), path, force=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_resolution_can_be_chosen(tmp_path):
    figure = DRAWN["curves"]()
    save(figure, tmp_path / "small.png", dpi=50)
    save(figure, tmp_path / "own.png")
    with Image.open(tmp_path / "small.png") as small, Image.open(tmp_path / "own.png") as own:
        assert (4 * small.width, 4 * small.height) == own.size


def test_impossible_outputs_are_refused(tmp_path):
    figure = DRAWN["curves"]()
    with pytest.raises(InvalidParameterError, match=r"\.png, \.svg, \.pdf\. Got 'a\.gif', with suffix '\.gif'"):
        save(figure, tmp_path / "a.gif")
    with pytest.raises(DataNotFoundError, match=r"The folder .* does not exist"):
        save(figure, tmp_path / "nowhere" / "a.png")
    with pytest.raises(InvalidParameterError, match="'dpi' of save must be > 0"):
        save(figure, tmp_path / "a.png", dpi=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", DRAWN)
def test_global_settings_neither_change_nor_matter(tmp_path, name):
    before = dict(mpl.rcParams)
    plain = save(DRAWN[name](), tmp_path / "plain.png").read_bytes()
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "font.family": "monospace", "text.color": "blue"}):
        assert save(DRAWN[name](), tmp_path / "styled.png").read_bytes() == plain


@pytest.fixture(scope="module")
def imported():
    """Return whether Matplotlib is there once pictures are imported, and its pyplot once one is drawn."""
    code = (
        "import sys; from narrows.pictures import curves; print('matplotlib' in sys.modules); "
        "curves([{'epoch': 0, 'loss': 1}]); print('matplotlib.pyplot' in sys.modules)"
    )
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_importing_pictures_does_not_import_matplotlib(imported):
    assert imported[0] == "False"


def test_drawing_does_not_import_pyplot(imported):
    assert imported[1] == "False"
