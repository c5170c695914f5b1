"""Archives of texts: through codes, and without any loss."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narrows
from narrows.archive import TextsArchive, inspect, open_archive, recover, verify
from narrows.errors import CorruptArchiveError, InvalidParameterError, ShapeMismatchError

PARTS = st.lists(st.sampled_from([b"emma", b"xyz longer", b"\n", b"\r\n", b"\0", b"\xff", "é".encode()]), min_size=1)


def test_codes_restore_names_as_the_model_does_in_lines_as_they_were(tmp_path, model, names):
    (tmp_path / "x.txt").write_bytes("\r\n".join(names).encode())
    narrows.compress(tmp_path / "x.txt", tmp_path / "x.narrows", model=model)
    restored = narrows.restore(tmp_path / "x.narrows", model=model)
    assert restored == names
    narrows.restore(tmp_path / "x.narrows", model=model, out=tmp_path / "y.txt")
    assert (tmp_path / "y.txt").read_bytes() == "\r\n".join(restored).encode()


@given(parts=PARTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_lossless_archive_restores_any_bytes(tmp_path, model, parts):
    (tmp_path / "x.log").write_bytes(b"".join(parts))
    narrows.compress(tmp_path / "x.log", tmp_path / "x.narrows", model=model, lossless=True, force=True)
    narrows.restore(tmp_path / "x.narrows", model=model, out=tmp_path / "y.log", force=True)
    assert (tmp_path / "y.log").read_bytes() == b"".join(parts)


@pytest.fixture
def cut(tmp_path, model, names):
    """An archive of texts of which some have several records, with one record in each chunk."""
    texts = [*names, "a text that is longer than a record", "b"]
    narrows.compress(texts, tmp_path / "x.narrows", model=model, lossless=True, chunk_records=1, embed_model=True)
    return tmp_path / "x.narrows", texts


def test_texts_of_several_records_are_read_one_by_one_and_in_ranges(cut):
    path, texts = cut
    with open_archive(path) as archive:
        assert isinstance(archive, TextsArchive)
        assert len(archive) == len(texts)
        assert archive[8] == texts[8]
        assert archive[7:] == texts[7:]
        assert archive.read([9, 8, 0]) == [texts[9], texts[8], texts[0]]
        assert list(archive) == texts
    assert narrows.restore(path, records=(8, 10)) == texts[8:]
    found = inspect(path)
    assert (found.n_records, found.metadata["text"]["texts"]) == (10, 10)
    assert verify(path).problems == ()


def test_of_a_damaged_archive_the_records_that_are_left_of_each_text_are_recovered(cut, tmp_path):
    path, texts = cut
    data = bytearray(path.read_bytes())
    with open_archive(path) as archive:
        offset = int(archive._index.offsets[9])  # the second record of the long text
    data[offset + 60] ^= 1
    path.write_bytes(data)
    with open_archive(path) as archive, pytest.raises(CorruptArchiveError):
        archive.read()
    recover(path, tmp_path / "y.narrows")
    assert narrows.restore(tmp_path / "y.narrows") == [*texts[:8], texts[8][:6] + texts[8][12:], texts[9]]


def test_texts_are_appended_unless_some_are_longer_than_a_record(tmp_path, model, cut):
    path = tmp_path / "z.narrows"
    narrows.compress(["emma", "ava"], path, model=model, lossless=True)
    narrows.compress(["mia"], path, model=model, append=True)
    assert narrows.restore(path, model=model) == ["emma", "ava", "mia"]
    with pytest.raises(InvalidParameterError, match="longer than a record of 6 bytes"):
        narrows.compress(["longer than a record"], path, model=model, append=True)
    with pytest.raises(InvalidParameterError, match="longer than a record of 6 bytes"):
        narrows.compress(["mia"], cut[0], model=model, append=True)


@pytest.mark.parametrize("how", [{"psnr": 30}, {"max_error": 1}, {"max_error": "1%"}, {"bytes_per_record": 3}])
def test_bounds_on_errors_mean_nothing_for_text(tmp_path, model, how):
    with pytest.raises(InvalidParameterError, match="of text"):
        narrows.compress(["emma"], tmp_path / "x.narrows", model=model, **how)


def test_a_model_of_images_is_refused_for_texts_in_words_of_texts(tmp_path, names):
    images = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8)
    model = narrows.recipe("auto", n_latent=3, training__epochs=1, random_state=0).fit(images)
    with pytest.raises(ShapeMismatchError, match=r"uint8 records of shape \(8, 8\)\. .* is text\. Give a model"):
        narrows.compress(names, tmp_path / "x.narrows", model=model)
    assert not list(tmp_path.iterdir())


def test_damaged_and_forged_archives_restore_what_is_right_or_fail_by_name():
    place = Path(__file__).parents[1] / "archive" / "fuzz_text.py"
    spec = importlib.util.spec_from_file_location("fuzz_text", place)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    counts = fuzz.run(40)
    assert {outcome for _, outcome in counts} >= {"right", "CorruptArchiveError"}
