"""Pictures of odd rows and curves: red where the parts of a score are, and what was expected in words."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from narrows import pictures
from narrows.errors import DataError
from narrows.pictures.heat_curves import heat_curves
from narrows.pictures.heat_rows import heat_rows
from narrows.pictures.scored_series import scored_series


def texts(figure):
    return [one.get_text() for one in figure.texts]


def test_cells_have_notes_where_their_part_is_large_and_are_as_red_as_it_is():
    parts = np.array([[0.1, 2.0, 0.05], [1.0, 0.0, 0.5]])
    cells, notes = [["1", "red", "7"], ["2", "blue", "8"]], [["a", "b", "c"], ["d", "e", "f"]]
    figure = heat_rows(cells, notes, parts, ("x", "colour", "z"), captions=["first", "second"])
    written = [text for text in texts(figure) if text]
    assert set(written) == {"x", "colour", "z", "first", "second", "1", "red", "7", "2", "blue", "8", "b", "d", "f"}
    alphas = [patch.get_alpha() for patch in figure.axes[0].patches]
    assert np.argsort(alphas[:3]).tolist() == np.argsort(parts[0]).tolist()


def test_of_many_columns_those_with_the_largest_parts_are_drawn():
    parts = np.zeros((1, 30))
    parts[0, [3, 17]] = [1, 0.5]
    names = [f"n{j}" for j in range(30)]
    figure = heat_rows([["v"] * 30], [["w"] * 30], parts, names, captions=["row"])
    assert {"n3", "n17"} <= set(texts(figure))
    assert sum(text.startswith("n") for text in texts(figure)) == 12


def test_curves_are_on_red_at_the_steps_with_the_largest_parts_of_the_channels_that_matter():
    x, parts = np.random.default_rng(0).normal(size=(2, 30, 5)), np.zeros((2, 30, 5))
    parts[0, 7, 4], parts[1, 12, 0] = 1, 2
    figure = heat_curves(x, x + 1, parts, captions=["first", "second"], channels=list("abcde"))
    assert texts(figure)[:2] == ["first", "second"]
    assert len(figure.axes) == 2 * 3
    names = [axes.get_ylabel() for axes in figure.axes]
    assert "e" in names[:3]
    assert "a" in names[3:]
    red = figure.axes[names.index("e")].images[0].get_array()[0, :, 3]
    assert red.argmax() == 7
    assert (np.delete(red, 7) == 0).all()
    np.testing.assert_array_equal(figure.axes[names.index("e")].lines[1].get_ydata(), x[0, :, 4])


def test_missing_steps_leave_a_gap_and_nothing_is_refused():
    x = np.full((1, 6, 1), np.nan)
    assert len(heat_curves(x, np.zeros_like(x), np.zeros_like(x), captions=["gone"]).axes) == 1
    with pytest.raises(DataError, match="at least one"):
        heat_curves(x[:0], x[:0], x[:0], captions=[])
    with pytest.raises(DataError, match="at least one"):
        heat_rows([], [], np.empty((0, 2)), ("a", "b"), captions=[])


def test_long_series_keep_their_extremes_above_the_scores_and_outliers_are_marked():
    x = np.sin(np.arange(20_000) / 50)[:, None] * np.ones(6)
    x[7777, 0], x[100:300, 1] = 9, np.nan
    score = np.where(np.abs(np.arange(20_000) - 7777) < 40, 12.0, 1.0)
    figure = scored_series(x, score, [(7738, 7816)], threshold=5.0, channels=list("abcdef"), ticks=([0], ["noon"]))
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b", "c", "d", "score"]
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min().round(1), heights.max()) == (-1, 9)
    marked = [patch.get_extents() for patch in figure.axes[0].patches]
    left, right = figure.axes[0].transData.transform([(7738, 0), (7816, 0)])[:, 0]
    assert len(marked) == 1
    assert marked[0].x0 <= left < right <= marked[0].x1
    assert figure.axes[-1].get_xticklabels()[0].get_text() == "noon"
    with pytest.raises(DataError, match="at least one"):
        scored_series(x[:0], score[:0], [], threshold=5.0, channels=["a"])


@pytest.mark.parametrize("x", [np.linspace(-1, 1, 9) * 1.7e308, np.full(9, 1.7e308), np.r_[np.inf, np.zeros(8)]])
def test_numbers_as_large_as_floats_can_be_are_drawn(x, tmp_path):
    columns, known = x[:, None], np.isfinite(x)
    figures = {
        "scored": scored_series(columns, np.zeros(9), [], threshold=5.0, channels=["a"]),
        "curves": heat_curves(columns[None], columns[None] / 2, np.ones((1, 9, 1)), captions=["r"]),
        "series": pictures.series({"a": columns, "b": columns / 2}),
    }
    for name, figure in figures.items():
        pictures.save(figure, tmp_path / f"{name}.png")
        low, high = figure.axes[0].get_ylim()
        drawn = np.clip(x[known], -1e300, 1e300)
        assert low < drawn.min() <= drawn.max() < high


def test_text_can_be_read_on_every_red():
    figure = heat_rows([["1", "2"]], [["a", "b"]], np.array([[1.0, 0.6]]), ("x", "y"), captions=["row"])
    for patch, text in zip(figure.axes[0].patches, ("1", "2"), strict=True):
        background = np.array(patch.get_facecolor()[:3]) * patch.get_alpha() + 1 - patch.get_alpha()
        (written,) = [one for one in figure.texts if one.get_text() == text]
        light, dark = sorted((luminance(background), luminance(to_rgb(written.get_color()))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4  # the contrast of the WCAG


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot([0.2126, 0.7152, 0.0722], linear)
