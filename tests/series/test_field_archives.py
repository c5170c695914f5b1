"""Series in archives without a model: the same file comes back."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import narrows
from narrows.archive import inspect
from narrows.cli import main
from narrows.data.field import open_field
from narrows.errors import DataError, InvalidParameterError

pytest.importorskip("pyarrow")

N = 1250


def csv_text(*, gaps=(), irregular=False, n=N):
    rng = np.random.default_rng(0)
    load = np.cumsum(rng.integers(-9, 10, n))
    lines = ["when,temp,load"]
    minute = 0
    for i in range(n):
        minute += int(rng.integers(1, 9)) if irregular else 5
        day, rest = divmod(minute, 1440)
        temp = "" if i in gaps else repr(round(float(20 + 5 * np.sin(i / 40) + rng.normal(0, 0.1)), 2))
        lines.append(f"2024-03-{day + 1:02d} {rest // 60:02d}:{rest % 60:02d}:00,{temp},{load[i]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="s.csv"):
        (tmp_path / name).write_text(text, newline="")
        return tmp_path / name

    return write


TEXTS = {
    "regular": csv_text(),
    "gaps": csv_text(gaps={5, 6, 700}),
    "irregular": csv_text(irregular=True),
    "no times": "a,b\n" + "".join(f"{i % 7}.25,{i}\n" for i in range(500)),
    "groups": "id,t,v\n" + "".join(f"{name},{i},{i * k}.5\n" for k, name in enumerate("xyz") for i in range(40 + k)),
    "noisy floats": "t,v\n" + "".join(f"{i},{i * 0.1 + 0.2!r}\n" for i in range(500)),
    "floats": "t,v\n" + "".join(f"{i},{float(np.sin(i) * 1e-9)!r}\n" for i in range(200)),
    "negative zeros": "t,v\n" + "".join(f"{i},{np.sin(i / 30) / 50:.2f}\n" for i in range(400)),
    "constant": "t,v,w\n" + "".join(f"{i},7.50,{i}\n" for i in range(500)),
    "one row": "t,v\n0,1.5\n",
    "all missing": "t,v\n0,\n1,\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_csv_file_comes_back_byte_for_byte(text, written, tmp_path):
    path = written(text)
    options = {"group": "id", "time": "t"} if text.startswith("id") else {"time": "t"} if text.startswith("t,") else {}
    narrows.compress(narrows.data.open(path, window=1, **options), tmp_path / "s.narrows")
    out = narrows.restore(tmp_path / "s.narrows", out=tmp_path / "r.csv")
    assert out.read_text() == text


def test_times_values_and_names_are_read_from_an_open_archive(written, tmp_path):
    path = written(csv_text(gaps={5}))
    narrows.compress(path, tmp_path / "s.narrows")
    source = narrows.data.open(path)
    with narrows.open_archive(tmp_path / "s.narrows") as archive:
        assert (archive.shape, archive.dtype) == ((N, 2), np.float64)
        np.testing.assert_array_equal(archive.read(), source.windows.series.values)
        np.testing.assert_array_equal(archive[100:200], source.windows.series.values[100:200])
        np.testing.assert_array_equal(archive[5], source.windows.series.values[5])
        np.testing.assert_array_equal(archive.part(slice(3, 9), slice(1, 2)), source.windows.series.values[3:9, 1:2])
        assert archive.times[0] == np.datetime64("2024-03-01T00:05:00")
        assert archive.series.channels == ("temp", "load")


def test_decimals_take_fewer_bytes_than_floats(written, tmp_path):
    path = written(csv_text())
    made = narrows.compress(path, tmp_path / "s.narrows")
    narrows.compress(narrows.data.open(path).windows.series.values, tmp_path / "f.narrows", lossless=True)
    assert made.n_bytes < (tmp_path / "f.narrows").stat().st_size / 2
    assert made.max_error == 0
    assert "decimals" in inspect(tmp_path / "s.narrows").metadata


@pytest.mark.parametrize("how", [{}, {"max_error": 0.01}])
def test_channels_that_do_not_resemble_each_other_have_blocks_of_their_own(how, written, tmp_path):
    waves = np.sin(np.arange(2000)[:, None] / [11, 17]) * [1, 1000]
    rows = [f"{i},{a:.2f},{b:.1f}" for i, (a, b) in enumerate(waves.tolist())]
    path = written("\n".join(["t,a,b", *rows]) + "\n")
    source = narrows.data.open(path, time="t")
    made = narrows.compress(source, tmp_path / "s.narrows", **how)
    assert made.n_bytes < 2 * 2000
    with narrows.open_archive(tmp_path / "s.narrows") as archive:
        assert archive.items.block == (2000, 1)
        np.testing.assert_allclose(archive.read(), source.windows.series.values, atol=how.get("max_error", 0) + 1e-9)
        np.testing.assert_array_equal(archive[700:900], archive.read()[700:900])
        np.testing.assert_array_equal(archive.part(slice(5, 9), slice(1, 2)), archive.read()[5:9, 1:])


_SLOW_BOUNDS = [pytest.param(bound, marks=pytest.mark.slow) for bound in (0.5, 0.001)]


@pytest.mark.parametrize("bound", ["1%", *_SLOW_BOUNDS])
def test_a_bound_holds_for_decimals(bound, written, tmp_path):
    path = written(csv_text(gaps={9}))
    values = narrows.data.open(path).windows.series.values
    made = narrows.compress(path, tmp_path / "s.narrows", max_error=bound)
    restored = narrows.restore(tmp_path / "s.narrows")
    largest = np.nanmax(np.abs(restored - values))
    assert largest <= made.error_bound * (1 + 1e-9)
    assert largest <= made.max_error * (1 + 1e-9) <= made.error_bound * (1 + 1e-9)
    assert np.isnan(restored[9, 0])
    text = narrows.restore(tmp_path / "s.narrows", out=tmp_path / "r.csv").read_text()
    assert len(text.splitlines()[1]) <= len("2024-03-01 00:05:00,20.00,-10") + 1


@pytest.mark.parametrize("encoding", ["PCM_U8", "PCM_16", "PCM_24"])
def test_a_wav_file_comes_back_byte_for_byte(encoding, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    wave = 0.5 * np.sin(np.arange(4000) / 7)[:, None] * [1, 0.5]
    soundfile.write(tmp_path / "s.wav", wave, 8000, subtype=encoding)
    narrows.compress(tmp_path / "s.wav", tmp_path / "s.narrows")
    narrows.restore(tmp_path / "s.narrows", out=tmp_path / "r.wav")
    assert (tmp_path / "r.wav").read_bytes() == (tmp_path / "s.wav").read_bytes()
    assert (tmp_path / "s.narrows").stat().st_size < (tmp_path / "s.wav").stat().st_size


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from(["i2", "u1", "f4", "f8", "?"]),
        st.sampled_from([(2,), (60,), (7, 1), (30, 3)]),
    ),
    st.integers(1, 2),
)
def test_a_series_of_any_dtype_comes_back_whatever_its_windows(tmp_path_factory, values, window):
    path = tmp_path_factory.mktemp("any") / "s.narrows"
    narrows.compress(narrows.data.open(values, window=window), path, lossless=True)
    restored = narrows.restore(path)
    assert restored.dtype == values.dtype
    assert restored.tobytes() == values.tobytes()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-9999, 9999)), min_size=1, max_size=80), st.integers(0, 3))
def test_decimals_with_gaps_come_back(tmp_path_factory, numbers, digits):
    folder = tmp_path_factory.mktemp("gaps")
    cells = ["" if x is None else format(x / 10**digits, f".{digits}f") for x in numbers]
    text = "t,v\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    (folder / "s.csv").write_text(text.replace(",-0\n", ",0\n"), newline="")
    narrows.compress(narrows.data.open(folder / "s.csv", time="t"), folder / "s.narrows")
    narrows.restore(folder / "s.narrows", out=folder / "r.csv")
    before, after = (narrows.data.open(folder / name, time="t").windows.series for name in ("s.csv", "r.csv"))
    np.testing.assert_array_equal(before.values, after.values)


def test_long_gaps_take_hardly_any_bytes(written, tmp_path):
    values = [f"{x:.2f}" for x in np.cumsum(np.random.default_rng(0).normal(size=600))]
    short = "v\n" + "".join(f"{x}\n" for x in values)
    with_gaps = "v\n" + "".join(f"{x}\n" + "NaN\n" * (200 if i % 200 == 199 else 0) for i, x in enumerate(values))
    sizes = []
    for text in (short, with_gaps):
        path = written(text)
        sizes.append(narrows.compress(path, tmp_path / "s.narrows", force=True).n_bytes)
        assert narrows.restore(tmp_path / "s.narrows", out=tmp_path / "r.csv", force=True).read_text() == text
    assert sizes[1] < 1.15 * sizes[0] + 40


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, list(map(str, arguments)))


def test_the_command_line_compresses_a_csv_file_without_any_option(invoke, written):
    text = csv_text()
    written(text)
    done = invoke("compress", "s.csv", "-o", "s.narrows")
    assert done.exit_code == 0, done.output
    assert "byte for byte" in done.output
    assert invoke("restore", "s.narrows", "-o", "r.csv").exit_code == 0
    with open("r.csv", newline="") as file:
        assert file.read() == text


def test_it_says_if_only_the_values_are_the_same(invoke, written):
    written("t,v\n1,2.50\n2,3.5\n3,1\n")
    done = invoke("compress", "s.csv", "--time", "t", "-o", "s.narrows")
    assert "the same values, not the same bytes" in done.output
    again = invoke("compress", "s.csv", "--time", "t", "-o", "s.narrows", "--force", "--json")
    assert json.loads(again.stdout)["is_same_text"] is False


@pytest.mark.parametrize("only", ["1000:1200", "2024-03-04 11:25:00:2024-03-05 04:05:00"])
def test_only_takes_steps_and_times(only, invoke, written):
    text = csv_text()
    written(text)
    invoke("compress", "s.csv", "-o", "s.narrows")
    done = invoke("restore", "s.narrows", "-o", "r.csv", "--only", only)
    assert done.exit_code == 0, done.output
    lines = text.splitlines()
    with open("r.csv") as file:
        assert file.read().splitlines() == [lines[0], *lines[1001:1201]]


def test_times_outside_and_texts_that_are_no_times_are_refused(invoke, written):
    written(csv_text())
    invoke("compress", "s.csv", "-o", "s.narrows")
    assert (
        "has no steps from 2025-01-01" in invoke("restore", "s.narrows", "-o", "r.csv", "--only", "2025-01-01:").output
    )
    assert "Got 'noon'" in invoke("restore", "s.narrows", "-o", "r.csv", "--only", "noon").output


def test_windows_have_no_effect_without_a_model(written, tmp_path):
    with pytest.raises(InvalidParameterError, match=r"'window' \(--window\) has an effect only with a model"):
        open_field(written(csv_text()), window=50)


def test_nothing_is_written_for_a_bad_file(written, tmp_path):
    path = written("t,v\n2024-01-01,1\n2024-01-02\n")
    with pytest.raises(DataError, match="Line 3"):
        narrows.compress(path, tmp_path / "s.narrows")
    assert not (tmp_path / "s.narrows").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["s.csv"]
