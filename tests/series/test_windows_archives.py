"""Series in archives of a model of windows: the whole series comes back."""

import numpy as np
import pytest
from click.testing import CliRunner

import narrows
from narrows import Autoencoder, Training
from narrows.archive import inspect
from narrows.archive.layouts import Windows
from narrows.cli import main
from narrows.errors import InvalidParameterError, ShapeMismatchError

STEPS = np.arange(900)
SERIES = np.stack([np.sin(STEPS / 5), np.cos(STEPS / 5)], axis=1).astype(np.float32)


def fit(x, window=32, **options):
    source = narrows.data.open(x, window=window, stride=16, **options)
    return Autoencoder(4, training=Training(epochs=1), random_state=0).fit(source)


@pytest.fixture(scope="module")
def model():
    return fit(SERIES)


@pytest.mark.parametrize("n", [32, 33, 64, 501, 900])
def test_a_series_comes_back_whole_whatever_its_length(model, tmp_path, n):
    narrows.compress(SERIES[:n], tmp_path / "s", model=model)
    with narrows.open_archive(tmp_path / "s", model=model) as archive:
        restored = archive.read()
        assert (restored.shape, restored.dtype) == ((n, 2), np.float32)
        assert np.square(restored - SERIES[:n]).mean() < np.square(SERIES).mean()
        assert type(archive).__name__ == "WindowsArchive"
        assert archive.shape == (n, 2)


@pytest.mark.parametrize("n", [32, 45, 500])
@pytest.mark.parametrize("how", [{"lossless": True}, {"max_error": 0.01}])
def test_bounds_hold_for_all_steps_and_for_gaps(model, tmp_path, n, how):
    x = SERIES[:n] + np.random.default_rng(0).normal(0, 0.1, (n, 2)).astype(np.float32)
    x[7, 1] = np.nan
    narrows.compress(x, tmp_path / "s", model=model, **how)
    restored = narrows.restore(tmp_path / "s", model=model)
    if "lossless" in how:
        assert restored.tobytes() == x.tobytes()
    else:
        assert np.nanmax(np.abs(restored - x)) <= 0.01
        assert np.isnan(restored[7, 1])


def test_overlapping_windows_are_stored_once(model, tmp_path):
    for stride in (4, 32):
        narrows.compress(narrows.data.open(SERIES, window=32, stride=stride), tmp_path / f"{stride}", model=model)
    assert (tmp_path / "4").read_bytes() == (tmp_path / "32").read_bytes()


def test_steps_are_read_alone(model, tmp_path):
    narrows.compress(SERIES, tmp_path / "s", model=model, chunk_records=4, lossless=True)
    with narrows.open_archive(tmp_path / "s", model=model) as archive:
        np.testing.assert_array_equal(archive[100:230], SERIES[100:230])
        np.testing.assert_array_equal(archive[899], SERIES[899])
        np.testing.assert_array_equal(archive.read([5, 800, 6, 5]), SERIES[[5, 800, 6, 5]])
        assert archive.read(slice(0, 0)).shape == (0, 2)
        np.testing.assert_array_equal(np.concatenate(list(archive.pieces())), SERIES)
    np.testing.assert_array_equal(narrows.restore(tmp_path / "s", model=model, records=(890, 900)), SERIES[890:])


@pytest.mark.parametrize("bound", [0, 0.2])
def test_decimals_are_restored_as_decimals(tmp_path, bound):
    pytest.importorskip("pyarrow")
    cells = [f"{10 * x:.1f}" for x in SERIES[:, 0].tolist()]
    cells[5], cells[9] = "", repr(float(np.nextafter(float(cells[9]), 10)))
    (tmp_path / "s.csv").write_text("t,v\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)), newline="")
    source = narrows.data.open(tmp_path / "s.csv", time="t", window=32)
    model = fit(np.nan_to_num(source.windows.series.values))
    made = narrows.compress(source, tmp_path / "s", model=model, max_error=bound or None, lossless=not bound)
    restored, x = narrows.restore(tmp_path / "s", model=model), source.windows.series.values
    assert "decimals" in inspect(tmp_path / "s").metadata
    assert made.error_bound == bound
    if bound:
        assert np.nanmax(np.abs(restored - x)) <= made.max_error + 1e-9 <= bound + 1e-9
        np.testing.assert_array_equal(np.round(restored, 1), restored)
    else:
        assert restored.tobytes() == x.tobytes()
        assert made.max_error == 0


def test_a_csv_file_with_groups_comes_back_byte_for_byte(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    rows = [f"{name},{i},{10 * x:.1f}\n" for name in "ab" for i, x in enumerate(SERIES[: 300 + 9 * ord(name) % 7, 0])]
    (tmp_path / "s.csv").write_text("id,t,v\n" + "".join(rows), newline="")
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done

    reading = ["--time", "t", "--group", "id"]
    invoke("train", "s.csv", *reading, "--window", 25, "--epochs", 1, "--latent", 2, "-o", "m.safetensors", "-q")
    done = invoke("compress", "s.csv", *reading, "-m", "m.safetensors", "-o", "s.narrows", "--lossless")
    assert "byte for byte" in done.output
    invoke("restore", "s.narrows", "-o", "r.csv")
    assert (tmp_path / "r.csv").read_bytes() == (tmp_path / "s.csv").read_bytes()
    invoke("restore", "s.narrows", "-o", "p.csv", "--only", "300:310")
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert (tmp_path / "p.csv").read_text().splitlines() == [lines[0], *lines[301:311]]
    invoke("info", "s.narrows")
    assert inspect("s.narrows").metadata["windows"] == {"lengths": [len(rows) // 2, len(rows) // 2]} or len(rows) % 2


def test_windows_of_another_length_and_appending_are_refused(model, tmp_path):
    with pytest.raises(ShapeMismatchError, match="--window 32"):
        narrows.compress(narrows.data.open(SERIES, window=16), tmp_path / "s", model=model)
    assert not (tmp_path / "s").exists()
    narrows.compress(SERIES, tmp_path / "s", model=model)
    with pytest.raises(InvalidParameterError, match="cannot be appended to by series"):
        narrows.compress(SERIES, tmp_path / "s", model=model, append=True)


def test_windows_that_are_given_as_records_stay_records(model, tmp_path):
    windows = SERIES[:896].reshape(28, 32, 2)
    narrows.compress(windows, tmp_path / "s", model=model)
    assert narrows.restore(tmp_path / "s", model=model).shape == (28, 32, 2)


def test_the_layout_fills_up_the_last_window_of_each_series():
    layout = Windows((5, 3), (4,))
    windows = layout.cut(np.arange(8))
    assert windows.tolist() == [[0, 1, 2, 3], [4, 4, 3, 2], [5, 6, 7, 7]]
    assert layout.assemble(windows).tolist() == list(range(8))
    assert layout.steps_in(np.arange(3)).tolist() == [4, 1, 3]
