"""WAV files of 8, 16, 24 and 32 bits, as series."""

import numpy as np
import pytest

import narrows.data
from narrows.data.series.wav_files import series_in_wav, write_wav
from narrows.errors import CorruptFileError, DataError

soundfile = pytest.importorskip("soundfile")

ENCODINGS = [("PCM_U8", np.uint8), ("PCM_16", np.int16), ("PCM_24", np.int32), ("PCM_32", np.int32), ("FLOAT", "f4")]


def sound(encoding, n=501, channels=2):
    wave = np.sin(np.arange(n * channels) / 9).reshape(n, channels) * 0.9
    return (wave[:, 0] if channels == 1 else wave), encoding


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("encoding", "dtype"), ENCODINGS)
def test_the_samples_of_a_file_are_a_series_and_the_same_bytes_are_written_again(encoding, dtype, channels, tmp_path):
    samples, _ = sound(encoding, channels=channels)
    path = tmp_path / "s.wav"
    soundfile.write(path, samples, 8000, subtype=encoding)
    found = series_in_wav(path, "s.wav")
    assert (found.values.dtype, found.values.shape) == (np.dtype(dtype), samples.shape)
    with (tmp_path / "again.wav").open("wb") as file:
        write_wav(file, [found.values[:100], found.values[100:]], samples.shape, found.values.dtype, found.origin)
    again = series_in_wav(tmp_path / "again.wav", "again.wav")
    np.testing.assert_array_equal(again.values, found.values)
    if encoding.startswith("PCM"):
        assert (tmp_path / "again.wav").read_bytes() == path.read_bytes()


def test_a_file_is_opened_as_windows(tmp_path):
    soundfile.write(tmp_path / "s.wav", sound("PCM_16", channels=1)[0], 8000)
    source = narrows.data.open(tmp_path / "s.wav", window=50)
    assert (source.kind, source.record, source.shape, source.dtype) == ("wav", "series", (50,), np.int16)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "s.wav"
    soundfile.write(path, sound("PCM_16")[0], 8000)
    whole = path.read_bytes()
    for n, what in ((len(whole) - 10, "is cut off: its part 'data' declares"), (30, "is cut off"), (8, "not a WAV")):
        path.write_bytes(whole[:n])
        with pytest.raises(CorruptFileError, match=what):
            narrows.data.open(path)


def test_empty_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "s.wav"
    path.write_bytes(b"")
    with pytest.raises(CorruptFileError, match="is empty"):
        narrows.data.open(path)
    soundfile.write(path, np.zeros((0, 1)), 8000)
    with pytest.raises(DataError, match="has no samples"):
        narrows.data.open(path)
    soundfile.write(path, np.zeros(100), 8000, subtype="ULAW")
    with pytest.raises(DataError, match="has the encoding ULAW"):
        narrows.data.open(path)


def test_what_no_wav_file_can_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="A WAV file holds samples"):
        narrows.data.write(tmp_path / "x.wav", np.zeros((5, 2), np.int64))
    narrows.data.write(tmp_path / "x.wav", np.zeros((5, 2), np.int16))
    assert soundfile.info(tmp_path / "x.wav").frames == 5


def test_whether_the_same_bytes_come_back_is_known(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.arange(50) / 100, 8000, subtype="PCM_16")
    assert narrows.compress(path, tmp_path / "x.narrows").is_same_text
    data = bytearray(path.read_bytes())
    data[4:8] = (len(data) + 4).to_bytes(4, "little")
    path.write_bytes(bytes(data) + b"LIST\x04\0\0\0abcd")
    assert narrows.compress(path, tmp_path / "x.narrows", force=True).is_same_text is False
