"""Maps: every point is drawn where its code says and in the colour of its label."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from narrows.errors import DataError, InvalidParameterError, NonFiniteDataError, ShapeMismatchError
from narrows.pictures import maps

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(300, 2))


def legend(figure):
    (entries,) = figure.legends
    return dict(zip((text.get_text() for text in entries.texts), entries.legend_handles, strict=True))


def colours_by_point(figure, panel=0):
    """Return the colour at every point of a map, transparency aside."""
    scatter = figure.axes[panel].collections[0]
    colours = np.broadcast_to(scatter.get_facecolors()[:, :3], (len(scatter.get_offsets()), 3))
    points = map(tuple, np.asarray(scatter.get_offsets()))
    return dict(zip(points, map(tuple, colours), strict=True))


def test_every_record_is_drawn_in_every_map():
    figure = maps({"PCA": Z, "autoencoder": -2 * Z})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["PCA", "autoencoder"]
    assert set(colours_by_point(figure)) == set(map(tuple, Z))
    assert set(colours_by_point(figure, 1)) == set(map(tuple, -2 * Z))
    assert not figure.legends


def test_points_have_the_colour_that_the_legend_gives_their_label():
    labels = RNG.integers(0, 10, 300)
    figure = maps({"PCA": Z, "autoencoder": Z + 1}, labels)
    assert list(legend(figure)) == [str(i) for i in range(10)]
    by_name = {name: to_rgba(handle.get_color())[:3] for name, handle in legend(figure).items()}
    assert len(set(by_name.values())) == 10
    for panel, offset in enumerate((0, 1)):
        seen = colours_by_point(figure, panel)
        for z, label in zip(Z + offset, labels, strict=True):
            assert seen[tuple(z)] == pytest.approx(by_name[str(label)])


def test_names_stand_at_the_median_of_their_class():
    labels = np.repeat(["cat", "dog"], 150)
    z = Z + np.where(labels == "dog", 9.0, 0.0)[:, None]
    figure = maps({"codes": z}, labels)
    for text in figure.axes[0].texts:
        assert text.xy == pytest.approx(np.median(z[labels == text.get_text()], axis=0))
    assert {text.get_text() for text in figure.axes[0].texts} == {"cat", "dog"}


def test_names_that_would_cover_another_stay_in_the_legend_only():
    figure = maps({"codes": np.tile(Z[:50], (4, 1))}, np.repeat(["one", "two", "three", "four"], 50))
    assert len(figure.axes[0].texts) == 1
    assert set(legend(figure)) == {"one", "two", "three", "four"}


@pytest.mark.parametrize("names", [["zero", "one", "two"], {0: "zero", 1: "one", 2: "two"}])
def test_classes_can_be_named(names):
    assert list(legend(maps({"a": Z}, RNG.integers(0, 3, 300).astype(float), names))) == ["zero", "one", "two"]


@pytest.mark.parametrize("labels", [RNG.normal(size=300), np.arange(300) % 21], ids=["real", "21 numbers"])
def test_numbers_on_a_scale_get_a_colour_bar(labels):
    figure = maps({"a": Z, "b": Z}, labels)
    assert len(figure.axes) == 3
    assert not figure.legends
    scatter = figure.axes[0].collections[0]
    order = [int(np.flatnonzero((z == Z).all(axis=1))[0]) for z in np.asarray(scatter.get_offsets())]
    np.testing.assert_array_equal(scatter.get_array(), labels[order])


def test_of_many_names_the_rarest_become_other():
    labels = [f"class {i:02d}" for i in range(25)] + ["class 24"] * 100 + ["class 23"] * 175
    entries = list(legend(maps({"a": Z}, labels)))
    assert len(entries) == 20
    assert entries[-3:] == ["class 23", "class 24", "other (6)"]


def test_twenty_classes_have_twenty_colours():
    handles = legend(maps({"a": Z}, np.arange(300) % 20)).values()
    assert len({handle.get_color() for handle in handles}) == 20


def test_the_same_points_give_the_same_picture():
    first, second = (np.asarray(maps({"a": Z}, Z[:, 0] > 0).axes[0].collections[0].get_offsets()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("codes", "labels", "error", "message"),
    [
        ({}, None, InvalidParameterError, "at least one map"),
        (
            {"a": Z[:, :1]},
            None,
            DataError,
            r"'a' must have the shape \(n, 2\) .* Got \(300, 1\). Train with n_latent=2",
        ),
        ({"a": Z[:, 0]}, None, DataError, r"'a' must have the shape .* Got \(300,\)"),
        ({"a": Z[:0]}, None, DataError, r"\(0, 2\)"),
        (
            {"a": Z, "b": Z[:9]},
            None,
            ShapeMismatchError,
            r"'a' and 'b' must have the same number of rows. Got \(300, 2\) and \(9, 2\)",
        ),
        ({"a": Z}, [1, 2], ShapeMismatchError, "300 codes and 2 labels"),
        ({"a": Z}, Z, DataError, "one for each record"),
        ({"a": np.full((3, 2), np.nan)}, None, NonFiniteDataError, "'a' must be finite. Got 6 of 6 that"),
        ({"a": Z[:2]}, [0.5, np.nan], NonFiniteDataError, "'labels'"),
    ],
)
def test_bad_input_is_refused(codes, labels, error, message):
    with pytest.raises(error, match=message):
        maps(codes, labels)


def test_a_label_without_a_name_is_refused():
    with pytest.raises(InvalidParameterError, match="no name for the label 2"):
        maps({"a": Z[:3]}, [0, 1, 2], ["zero", "one"])
    with pytest.raises(InvalidParameterError, match="must be different for each label"):
        maps({"a": Z[:3]}, [0, 1, 2], ["same", "same", "other"])
