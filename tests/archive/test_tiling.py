"""Tiles: cutting and assembling are inverse, blending leaves no seams, and headers that lie are refused."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.archive.layouts import AnyLayout, Field, Layout, Tiling, Whole
from narrows.errors import CorruptArchiveError, InvalidParameterError

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "float32", "float64")


@st.composite
def tilings(draw):
    """Return a tiling of images of any layout."""
    tile = [draw(st.integers(1, 7)) for _ in range(2)]
    shape = [draw(st.integers(side, side + 12)) for side in tile]
    layout = draw(st.sampled_from(["grey", "last", "first"]))
    if layout == "last":
        channels = draw(st.integers(1, 4))
        tile, shape = [*tile, channels], [*shape, channels]
    if layout == "first":
        tile = [side + 4 for side in tile]  # what ends in up to four is taken for channels
        shape = [side + 4 for side in shape]
        channels = draw(st.integers(1, 5))
        tile, shape = [channels, *tile], [channels, *shape]
    sides = tile[1:] if layout == "first" else tile[:2]
    overlap = draw(st.integers(0, min(sides) // 2))
    made = Tiling.of(tuple(shape), tuple(tile), overlap)
    assert made is not None
    return made


def images_for(tiling, dtype, n=2, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, (n, *tiling.shape)).astype(bool)
    if dtype.kind == "f":
        return rng.normal(scale=100, size=(n, *tiling.shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (n, *tiling.shape), dtype, endpoint=True)


@settings(max_examples=150, deadline=None)
@given(tiling=tilings(), dtype=st.sampled_from([*DTYPES, *FLOATS]), n=st.integers(0, 3))
def test_assembling_undoes_cutting(tiling, dtype, n):
    images = images_for(tiling, dtype, n)
    tiles = tiling.cut(images)
    assert tiles.shape == (n * tiling.n_records, *tiling.tile)
    assert tiles.dtype == images.dtype
    back = tiling.assemble(tiles)
    assert (back.shape, back.dtype) == (images.shape, images.dtype)
    if tiling.overlap and images.dtype.itemsize == 8:  # 64 bits have no room for weights: the last bits may be lost
        np.testing.assert_allclose(back.astype(np.float64), images.astype(np.float64), rtol=1e-14)
    else:
        np.testing.assert_array_equal(back, images)


@settings(max_examples=60, deadline=None)
@given(tiling=tilings())
def test_tiles_come_row_by_row_and_begin_where_the_overlap_says(tiling):
    """A second way: each tile is the window of the image whose edge was repeated."""
    (image,) = images_for(tiling, "uint8", 1)
    first = 1 if len(tiling.shape) == 3 and tiling.shape[-1] > 4 else 0
    rows, columns = tiling.grid
    tiles = tiling.cut(image[None]).reshape(rows, columns, *tiling.tile)
    high, wide = (np.arange(tiling.tile[axis]) for axis in (first, first + 1))
    steps = [tiling.tile[axis] - tiling.overlap for axis in (first, first + 1)]
    for row in range(rows):
        for column in range(columns):
            ys = np.minimum(row * steps[0] + high, tiling.shape[first] - 1)
            xs = np.minimum(column * steps[1] + wide, tiling.shape[first + 1] - 1)
            window = image.take(ys, axis=first).take(xs, axis=first + 1)
            np.testing.assert_array_equal(tiles[row, column], window)


@settings(max_examples=60, deadline=None)
@given(tiling=tilings(), dtype=st.sampled_from(["uint8", "int16", "float32"]), value=st.integers(0, 127))
def test_tiles_that_agree_leave_no_seams(tiling, dtype, value):
    tiles = np.full((tiling.n_records, *tiling.tile), value, dtype)
    assert (tiling.assemble(tiles) == value).all()


def test_blending_is_a_weighted_mean_that_rises_inwards():
    """Tiles that differ by a constant are joined by a ramp, and nothing lies outside of both."""
    tiling = Tiling.of((8, 12), (8, 8), 4)
    tiles = np.zeros((2, 8, 8), np.float64)
    tiles[1] = 100
    (image,) = tiling.assemble(tiles)
    assert (image == image[0]).all()
    # Over the overlap the left tile's weights fall 4, 3, 2, 1 while the right one's rise 1, 2, 3, 4.
    np.testing.assert_allclose(image[0], [0] * 4 + [20, 40, 60, 80] + [100] * 4)
    (whole,) = tiling.assemble(tiles.astype(np.uint8))
    np.testing.assert_array_equal(whole[0], [0] * 4 + [20, 40, 60, 80] + [100] * 4)
    (whole,) = tiling.assemble(np.stack([tiles[0], tiles[1] / 100]).astype(np.uint8))
    np.testing.assert_array_equal(whole[0], [0] * 6 + [1] * 6, err_msg="to the nearest: .2 .4 .6 .8")


@settings(max_examples=60, deadline=None)
@given(tiling=tilings(), dtype=st.sampled_from(["uint8", "int16", "int32"]), seed=st.integers(0, 1000))
def test_whole_numbers_are_blended_to_the_nearest(tiling, dtype, seed):
    """Against exact fractions: round(Σ w v / Σ w), halves up."""
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    tiles = rng.integers(limits.min, limits.max, (tiling.n_records, *tiling.tile), dtype, endpoint=True)
    (image,) = tiling.assemble(tiles)
    first = 1 if len(tiling.shape) == 3 and tiling.shape[-1] > 4 else 0
    at = [int(rng.integers(0, size)) for size in tiling.shape]
    total = weights = 0
    for position in range(tiling.n_records):
        place, weight = list(at), 1
        for axis, tile_number in zip((first, first + 1), divmod(position, tiling.grid[1]), strict=True):
            place[axis] = at[axis] - tile_number * (tiling.tile[axis] - tiling.overlap)
            if not 0 <= place[axis] < tiling.tile[axis]:
                weight = 0
                break
            inwards = min(place[axis], tiling.tile[axis] - 1 - place[axis]) + 1
            weight *= min(inwards, tiling.overlap) if tiling.overlap else 1
        if weight:
            total += weight * int(tiles[(position, *place)])
            weights += weight
    assert int(image[tuple(at)]) == math.floor((2 * total + weights) / (2 * weights))


def test_the_largest_floats_are_blended():
    tiling = Tiling.of((8, 12), (8, 8), 4)
    for dtype in (np.float16, np.float32, np.float64):
        most = np.finfo(dtype).max
        for value in (most, -most):
            image = tiling.assemble(np.full((2, 8, 8), value, dtype))
            assert np.isfinite(image).all()
            np.testing.assert_allclose(image.astype(np.float64), float(value), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("share", [1, 0.5, 0.01])
def test_the_largest_floats_of_either_sign_are_blended(dtype, share):
    """Sums of values times weights go beyond the range long before means do."""
    tiling = Tiling.of((13, 13), (8, 8), 4)
    most = float(np.finfo(dtype).max) * share
    rng = np.random.default_rng(0)
    tiles = (most * rng.choice([-1, -0.75, 0, 0.5, 1], (2 * tiling.n_records, 8, 8))).astype(dtype)
    found = tiling.assemble(tiles).astype(np.float64)
    expected = tiling.assemble(tiles / np.float64(most)) * most
    np.testing.assert_allclose(found, expected, rtol=2e-3 if dtype == "float16" else 1e-6, atol=1e-9 * most)
    assert np.abs(found).max() > 0.9 * most


# What tiles can cover


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((7, 8), (8, 8)),  # too small
        ((16, 16, 3), (8, 8)),
        ((16, 16), (8, 8, 3)),
        ((16, 16, 4), (8, 8, 3)),
        ((4, 16, 16), (3, 8, 8)),
        ((16,), (8,)),
        ((2, 16, 16, 3), (2, 8, 8, 3)),
        ((), ()),
    ],
    ids=str,
)
def test_images_that_tiles_cannot_cover(shape, tile):
    assert Tiling.of(shape, tile, 0) is None


@pytest.mark.parametrize(
    ("shape", "tile", "n"), [((8, 8), (8, 8), 1), ((9, 8), (8, 8), 2), ((17, 33, 3), (8, 16, 3), 9)]
)
def test_the_number_of_tiles(shape, tile, n):
    assert Tiling.of(shape, tile, 0).n_records == n


@pytest.mark.parametrize("overlap", [-1, 5, 1.0, "1", None, True, 1 << 70])
def test_overlaps_that_cannot_be(overlap):
    with pytest.raises(InvalidParameterError, match=r"'overlap' of tiles must be an integer from 0 to .* 4\. Got"):
        Tiling.of((16, 16), (8, 9), overlap)


# JSON


@settings(max_examples=60, deadline=None)
@given(tiling=tilings())
def test_json_and_back(tiling):
    values = json.loads(json.dumps(tiling.to_json()))
    assert Tiling.from_json(values, tiling.tile) == tiling


GOOD = {"image_shape": [16, 17], "overlap": 2}


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize(
    "wrong",
    [..., None, True, -1, 0.5, 1 << 70, "", "16", {}, [], [16], [16, "17"], [7, 17], [16, 17, 3], [-16, -17],
     [16.0, 17.0], [True, True], [1 << 40, 1 << 40], [1 << 28, 8], [[16, 17]], [None, None]],
    ids=repr,
)  # fmt: skip
def test_headers_that_lie(name, wrong):
    values = {**GOOD, name: wrong}
    if wrong is ...:
        del values[name]
    with pytest.raises(CorruptArchiveError, match="the 'tiling' in its metadata is not valid"):
        Tiling.from_json(values, (8, 8))


def test_what_more_a_header_says_is_passed_over():
    assert Tiling.from_json({**GOOD, "grid": [3, 3], "tile": [8, 8]}, (8, 8)) == Tiling((16, 17), (8, 8), 2)


@pytest.mark.parametrize("layout", [Whole((4, 4)), Tiling.of((7, 10), (4, 4), 1)], ids=lambda layout: str(layout)[:7])
def test_items_are_assembled_from_the_records_that_they_were_cut_into(layout):
    items = np.random.default_rng(0).integers(0, 256, (3, *layout.shape), np.uint8)
    records = layout.cut(items)
    assert len(records) == 3 * layout.n_records
    np.testing.assert_array_equal(layout.assemble(records), items)
    assert layout.n_items(len(records)) == 3


def test_the_blocks_of_a_field_have_several_shapes_and_are_no_records_of_one():
    assert not issubclass(Field, Layout)
    assert issubclass(Layout, AnyLayout)
    assert issubclass(Field, AnyLayout)
