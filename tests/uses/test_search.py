"""Search by codes: exact neighbours, indexes and archives, and what is refused."""

import numpy as np
import pytest
import torch

import narrows
import narrows.data
from narrows import Autoencoder, Training, errors
from narrows.data import Source
from narrows.evaluation.neighbours import draw_neighbours
from narrows.model.artefacts import SearchMetric
from narrows.model.precision import copied_in_float64
from narrows.networks import Dense
from narrows.numerics.nearest import Points
from narrows.uses import SearchIndex
from narrows.uses.search.approximate import Graph
from narrows.uses.search.queries import hide_values
from narrows.uses.search.results import Found


def by_hand(points, queries, k):
    """Return the squared distances in int64 and the nearest, by a full sort."""
    squares = np.square(points[None].astype(np.int64) - queries[:, None]).sum(2)
    order = np.lexsort((np.broadcast_to(np.arange(len(points)), squares.shape), squares), axis=1)[:, :k]
    return np.take_along_axis(squares, order, axis=1), order


def small(seed=0, **settings):
    training = Training(epochs=2, validation=0)
    return Autoencoder(3, network=Dense(widths=(8,)), training=training, random_state=seed, **settings)


@pytest.fixture(scope="module")
def source():
    return narrows.data.open("digits:train").limit(300)


@pytest.fixture(scope="module")
def queries():
    return narrows.data.open("digits:test").limit(40)


@pytest.fixture(scope="module")
def model(source):
    training = Training(epochs=4, validation=0)
    return Autoencoder(8, training=training, random_state=0).fit(source).measure()


@pytest.fixture(scope="module")
def index(source, model):
    return SearchIndex.build(source, model)


@pytest.fixture
def archive(source, model, tmp_path):
    narrows.compress(source, tmp_path / "digits.narrows", model=model, quality=8)
    return tmp_path / "digits.narrows"


# ------------------------------------------------------------------------------------------------------------ distances


@pytest.mark.parametrize("k", [1, 7, 900])
@pytest.mark.parametrize("spread", [2, 30, 360])  # few different points, so that many are equally near; and many
def test_neighbours_are_those_of_a_full_sort_in_int64(k, spread, rng, monkeypatch):
    monkeypatch.setattr("narrows.numerics.nearest._POINTS", 128)  # several blocks
    monkeypatch.setattr("narrows.numerics.nearest._QUERIES", 16)
    points = rng.integers(-spread, spread + 1, (900, 32)).astype(np.int16)
    queries = rng.integers(-spread, spread + 1, (20, 32)).astype(np.int16)
    for order in (slice(None), slice(None, None, -1)):
        squares, indices = Points(points[order]).nearest(queries, k)
        expected, of_hand = by_hand(points[order], queries, k)
        np.testing.assert_array_equal(squares, expected)
        np.testing.assert_array_equal(indices, of_hand)


def test_distances_are_exact_at_the_largest_coordinates():
    ends = np.array([[2048, 0], [-2048, 0], [2047, 63], [-2047, 63]], np.int16)
    squares, _ = Points(ends).nearest(ends, 4)
    np.testing.assert_array_equal(squares, by_hand(ends, ends, 4)[0])
    assert squares.max() == 2**24
    with pytest.raises(ValueError, match="at most 4,194,304"):
        Points(np.array([[2048, 1]], np.int16))


def test_coordinates_never_exceed_what_is_exact_and_follow_the_weights(rng):
    codes = rng.normal(0, [1, 10, 0], (500, 3))
    metric = SearchMetric.of("plain", codes, np.array([1.0, 0.1, 1.0]))
    far = metric.coordinates(np.vstack([codes, 1e300 * codes[:1], [[np.nan, np.inf, 0]]]))
    assert (np.abs(far) <= metric.limits).all()
    assert np.square(metric.limits.astype(int)).sum() <= 2**22
    np.testing.assert_allclose(metric.codes(far[:500]), codes, atol=10 * metric.unit)
    spread = far[:500].std(0)
    assert spread[0] == pytest.approx(spread[1], rel=0.2)
    assert spread[2] == 0


def test_directions_do_not_depend_on_lengths_and_are_exact(rng):
    codes = rng.normal(0, 1, (300, 40))
    metric = SearchMetric.of("plain", codes, np.ones(40), directions=True)
    once, far = metric.coordinates(codes), metric.coordinates(metric.centre + 0.1 * (codes - metric.centre))
    assert np.abs(once - far).max() <= 1
    lengths = np.sqrt(np.square(once.astype(int)).sum(1))
    assert (lengths <= 2048).all()
    assert (lengths > 2035).all()
    cosine = (codes - metric.centre) / np.linalg.norm(codes - metric.centre, axis=1)[:, None]
    nearest = ((cosine[:1] - cosine[1:]) ** 2).sum(1).argmin()
    assert Points(once[1:]).nearest(once[:1], 1)[1] == nearest
    back = metric.codes(once) - metric.centre
    np.testing.assert_allclose(np.linalg.norm(back, axis=1).mean(), np.linalg.norm(codes, axis=1).mean(), rtol=0.02)


def test_the_best_weights_on_training_records_are_kept(model):
    metric = model.model_.current(SearchMetric)
    kinds = {"output", "plain", "whitening"}
    assert set(metric.measured) == kinds | {f"{kind}-directions" for kind in kinds}
    assert metric.measured[metric.weights] == max(metric.measured.values()) > 0.8


def test_weights_are_chosen_by_the_nearest_records_if_there_are_no_labels(rng):
    x = rng.normal(0, [5, 1, 0.01, 0.01], (200, 4))
    metric = small().fit(x).measure().model_.current(SearchMetric)
    assert 0 < max(metric.measured.values()) <= 1


# -------------------------------------------------------------------------------------------------------------- queries


def test_the_neighbours_of_a_digit_are_mostly_of_its_kind(index, queries):
    distances, indices = index.query(queries, 5)
    assert distances.shape == indices.shape == (40, 5)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (index.items.labels[indices] == queries.labels[:, None]).mean() > 0.8


def test_a_batch_finds_what_its_queries_find_alone(index, queries):
    together = index.query(queries, 6)
    for one in range(8):
        alone = index.query(queries.values[one : one + 1], 6)
        np.testing.assert_array_equal(alone[0][0], together[0][one])
        np.testing.assert_array_equal(alone[1][0], together[1][one])


def test_the_weights_are_copied_once_for_all_queries(source, model, queries, monkeypatch):
    index, copies = SearchIndex.build(source, model), []
    copied = copied_in_float64
    monkeypatch.setattr(
        "narrows.uses.search.index.copied_in_float64", lambda chain: copies.append(copied(chain)) or copies[0]
    )
    for one in range(3):
        index.query(queries.values[one : one + 1])
        index.query(queries.values[one : one + 1], denoise=True)
    assert len(copies) == 1
    assert copies[0].dtype == torch.float64


def test_a_model_that_was_changed_since_is_refused(source, queries):
    changed = small().fit(source)
    index = SearchIndex.build(source, changed)
    with torch.no_grad():
        next(changed.chain_.parameters()).add_(1)
    with pytest.raises(errors.WrongModelError, match="Give the model that it was made with"):
        index.query(queries)


def test_a_record_of_the_index_finds_itself_first(index):
    distances, indices = index.query_items([17, 3], 2)
    assert indices[:, 0].tolist() == [17, 3]
    assert distances[:, 0].tolist() == [0, 0]


def test_a_label_limits_the_search(index, queries):
    distances, indices = index.query(queries, 4, label="7")
    assert (index.items.labels[indices] == 7).all()
    everything = index.query(queries, len(index))
    for row in range(5):
        sevens = [i for i in everything[1][row] if index.items.labels[i] == 7][:4]
        assert indices[row].tolist() == sevens
        assert distances[row][0] == everything[0][row][everything[1][row].tolist().index(sevens[0])]


def test_denoised_queries_are_encoded_as_they_are_restored(index, model, queries):
    restored = model.reconstruct(queries, dtype=model.dtype_)
    expected = index.query(Source(restored, record="image"), 3)
    found = index.query(queries, 3, denoise=True)
    assert (found[1] == expected[1]).mean() > 0.95  # restored in float64 there, in float32 here


def test_hidden_values_are_as_many_as_asked_for(model, queries):
    partial = hide_values(model, queries.values, 0.5, seed=1)
    changed = (partial != queries.values) | (queries.values == 0)
    assert (partial[changed & (queries.values != 0)] == 0).all()
    share = (partial[queries.values > 0] == 0).mean()
    assert share == pytest.approx(0.5, abs=0.06)
    np.testing.assert_array_equal(hide_values(model, queries.values[:3], 0.5, seed=1), partial[:3])


# ---------------------------------------------------------------------------------------------------------------- files


def test_an_index_comes_back_from_its_file(index, model, queries, tmp_path):
    index.save(tmp_path / "a.index")
    loaded = SearchIndex.load(tmp_path / "a.index", model)
    for mine, its in zip(index.query(queries, 3), loaded.query(queries, 3), strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(loaded.items.labels, index.items.labels)
    with pytest.raises(errors.OutputExistsError):
        index.save(tmp_path / "a.index")


def test_the_model_of_an_index_is_found_beside_it(index, model, queries, tmp_path):
    index.save(tmp_path / "a.index")
    with pytest.raises(errors.WrongModelError, match="No file with this model was found"):
        SearchIndex.load(tmp_path / "a.index").query(queries)
    model.save(tmp_path / "m.safetensors")
    found = SearchIndex.load(tmp_path / "a.index").query(queries)
    np.testing.assert_array_equal(found[1], index.query(queries)[1])


def test_added_records_come_last(source, model, index, queries):
    half = SearchIndex.build(source.take(np.arange(150)), model).add(source.take(np.arange(150, 300)))
    np.testing.assert_array_equal(half.query(queries, 3)[1], index.query(queries, 3)[1])
    np.testing.assert_array_equal(half.items.labels, index.items.labels)


def test_names_and_text_labels_are_kept(model, source, tmp_path):
    named = Source(source.values[:3], np.array([1, 0, 1]), ("no", "yes"), files=("a.png", "b.png", "ü.png"))
    SearchIndex.build(named, model).save(tmp_path / "a.index")
    items = SearchIndex.load(tmp_path / "a.index").items
    assert items.names == ("a.png", "b.png", "ü.png")
    assert items.labels.tolist() == ["yes", "no", "yes"]
    assert (items + items).names == ("a.png", "b.png", "ü.png") * 2


def test_an_archive_is_an_index(archive, model, queries, source):
    found = SearchIndex.load(archive, model)
    assert len(found) == 300
    near = SearchIndex.build(source, model).query(queries, 5)[1]
    shared = [len(set(a) & set(b)) for a, b in zip(found.query(queries, 5)[1].tolist(), near.tolist(), strict=True)]
    assert np.mean(shared) > 4  # of five, with steps of the finest quality
    assert found.query_items([8], 1)[1] == 8


def test_an_archive_with_its_model_is_searched_by_its_own_records_without_a_file(source, model, tmp_path):
    narrows.compress(source, tmp_path / "a.narrows", model=model, quality=8, embed_model=True)
    found = SearchIndex.load(tmp_path / "a.narrows")
    assert found.metric.weights == "steps"
    assert found.query_items([4, 5], 3)[1][:, 0].tolist() == [4, 5]
    with pytest.raises(errors.WrongModelError, match="A query needs the model"):
        found.query(source)


@pytest.mark.parametrize("kind", ["vector", "series", "text", "vector-quantised", "conditional"])
def test_every_kind_of_record_and_code_is_searched(kind, rng, tmp_path):
    if kind == "text":
        words = ["anna", "hanna", "johanna", "bob", "rob", "robert"] * 8
        data, model = words, narrows.recipe("auto", n_latent=4, training__epochs=8, random_state=0)
    elif kind == "conditional":
        labels = np.arange(60) % 2
        data, model = Source(rng.normal(labels[:, None], 1, (60, 6)), labels), small(conditional=True)
    else:
        shape = {"series": (60, 12, 2), "vector-quantised": (60, 8, 8)}.get(kind, (60, 6))
        data = rng.normal(0, 1, shape)
        part = {"bottleneck": "vector-quantised"} if kind == "vector-quantised" else {"n_latent": 3}
        record = "series" if kind == "series" else "auto"
        model = Autoencoder(**part, record=record, training=Training(epochs=1, validation=0), random_state=0)
    index = SearchIndex.build(data, model.fit(data))
    index.save(tmp_path / "a.index")
    loaded = SearchIndex.load(tmp_path / "a.index", model)
    distances, indices = loaded.query(data, 2)
    assert (distances[:, 0] <= 3 * index.metric.unit).all()  # a record finds itself, or its like
    if kind == "text":
        assert loaded.items.names == tuple(data)
        assert [data[i] for i in indices[:, 0]] == data


def test_queries_with_missing_values_are_drawn(rng, coarse_pictures):
    x = rng.normal(size=(40, 6))
    x[::3, 2] = np.nan
    index = SearchIndex.build(x, small(fill_value=np.nan).fit(x))
    distances, indices = index.query(x[:2], 3)
    figure = draw_neighbours(index, Found(["a", "b"], distances, indices, index.items), x[:2])
    assert figure.axes


def test_a_graph_finds_nearly_the_same_with_exact_distances(source, model, queries, tmp_path):
    pytest.importorskip("usearch")
    index = SearchIndex.build(source, model, approximate=True)
    index.save(tmp_path / "a.index")
    loaded = SearchIndex.load(tmp_path / "a.index", model)
    assert loaded.graph is not None
    distances, indices = loaded.query(queries, 5)
    exact = loaded.query(queries, 5, exact=True)
    assert (indices == exact[1]).mean() > 0.95
    np.testing.assert_array_equal(distances[indices == exact[1]], exact[0][indices == exact[1]])
    assert len(loaded.add(queries).graph) == 340


def test_candidates_are_ranked_by_exact_distances(index, queries):
    class Found:
        keys = np.array([[5, 3, 8, 1]] * 2)
        counts = np.array([4, 4])

    class All:
        def __len__(self):
            return len(index)

        def search(self, queries, n, threads):
            return Found()

    points = Points(index.coordinates)
    squares, indices = Graph(All()).nearest(points, index.coordinates[:2], 3)
    expected = points.squares(index.coordinates[:2], np.sort(Found.keys))
    np.testing.assert_array_equal(squares, np.sort(expected)[:, :3])
    assert set(indices.ravel().tolist()) <= {1, 3, 5, 8}


def test_a_graph_without_its_package_says_what_to_install(source, model, monkeypatch):
    monkeypatch.setattr("narrows.uses.search.approximate.find_spec", lambda name: None)
    with pytest.raises(errors.MissingPackageError, match=r"narrows\[search\]"):
        SearchIndex.build(source, model, approximate=True)


# -------------------------------------------------------------------------------------------------------- wrong inputs


def test_another_model_is_named_by_its_hash(index, source, archive, tmp_path):
    index.save(tmp_path / "a.index")
    other = small(seed=1).fit(source)
    for path in (tmp_path / "a.index", archive):
        with pytest.raises(errors.WrongModelError, match=r"with the model [0-9a-f]{12}.* is [0-9a-f]{12}"):
            SearchIndex.load(path, other)


@pytest.mark.parametrize("k", [0, 301, 1.5, True])
def test_a_number_of_neighbours_that_there_are_not_is_refused(k, index, queries):
    with pytest.raises(errors.InvalidParameterError, match="from 1 to 300"):
        index.query(queries, k)


def test_queries_of_another_shape_are_refused(index):
    with pytest.raises(errors.ShapeMismatchError, match=r"\(8, 8\)"):
        index.query(np.zeros((2, 9, 9), np.uint8))


def test_a_label_that_is_not_there_is_refused(index, queries, archive, model):
    with pytest.raises(errors.InvalidParameterError, match=r"'12'. Its labels are: 0, 1, .*, 9"):
        index.query(queries, label="12")
    with pytest.raises(errors.InvalidParameterError, match="has no labels"):
        SearchIndex.load(archive, model).query(queries, label="7")


def test_a_record_that_is_not_there_is_refused(index):
    with pytest.raises(IndexError, match="300 records"):
        index.query_items([300])


def test_an_empty_index_is_refused(model, index, queries):
    empty = SearchIndex(index.coordinates[:0], index.metric, type(index.items)(0), index.about, model=model)
    with pytest.raises(errors.DataError, match="is empty"):
        empty.query(queries)


def test_a_chunk_without_codes_is_refused_with_what_to_do(model, tmp_path, rng):
    noise = rng.integers(0, 256, (300, 8, 8)).astype(np.uint8)
    narrows.compress(noise, tmp_path / "a.narrows", model=model, lossless=True)
    with pytest.raises(errors.ArchiveError, match=r"narrows index .* --keep-codes"):
        SearchIndex.load(tmp_path / "a.narrows", model)


def test_a_field_is_refused(tmp_path):
    narrows.compress(np.zeros((9, 9)), tmp_path / "a.narrows", lossless=True)
    with pytest.raises(errors.ArchiveError, match="without a model"):
        SearchIndex.load(tmp_path / "a.narrows")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_damaged_index_is_refused(at, index, tmp_path):
    index.save(tmp_path / "a.index")
    data = bytearray((tmp_path / "a.index").read_bytes())
    data[int(at * len(data))] ^= 1
    (tmp_path / "a.index").write_bytes(data)
    with pytest.raises(errors.DataError):
        SearchIndex.load(tmp_path / "a.index")


def test_what_is_no_index_is_refused(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(errors.DataError, match="is no index, but a model"):
        SearchIndex.load(tmp_path / "m.safetensors")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY and more than that")
    with pytest.raises(errors.DataError, match=r"but a \.npy file"):
        SearchIndex.load(tmp_path / "x.npy")
    with pytest.raises(errors.DataNotFoundError):
        SearchIndex.load(tmp_path / "none")
