"""The page of a map: what it contains, and that it works in a browser (skipped where there is no Chromium)."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from narrows.pictures.map_page import PageView, map_page
from narrows.pictures.map_page.sprites import Sheets

BENCH = Path(__file__).parents[2] / "bench" / "browser.py"
N = 60


def browsers():
    spec = importlib.util.spec_from_file_location("browser", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser():
    found = browsers()
    if found.path() is None:
        pytest.skip("needs Chromium")
    with found.Browser(900, 600) as opened:
        yield opened


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N, 6, 5), np.uint8)
    points = np.stack([np.arange(N) % 10, np.arange(N) // 10], axis=1).astype(float)  # a lattice
    return {
        "views": [PageView("lattice", points, 0.5, 0.75), PageView("noise", rng.normal(size=(N, 2)))],
        "codes": rng.normal(size=(N, 4)),
        "columns": {"label": np.repeat(["<b>", "two", "three"], N // 3), "size": rng.uniform(2, 3, N)},
        "images": images,
    }


def page_of(records, **changes):
    given = {"record": "image", "values": records["images"], "column": "label", **changes}
    return map_page("a <title>", records["views"], records["codes"], records["columns"], **given)


@pytest.fixture(scope="module")
def images_page(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map.html"
    path.write_text(page_of(records), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, images_page):
    browser.requests.clear()
    browser.open(images_page)
    return browser


def place_of(browser, record):
    """Return where the point of a record is in the window."""
    script = f"""(() => {{
      const box = document.getElementById("overlay").getBoundingClientRect();
      const slot = Array.from(index).indexOf({record});
      const [left, top] = state.placeOf(slot);
      return [box.left + left, box.top + top];
    }})()"""
    return browser.evaluate(script)


@pytest.fixture(scope="module", autouse=True)
def _open_modules():
    """Let tests reach the names of the page's script, which is a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.pictures.map_page.page._KIND", "")
        yield


def text_of(browser, name):
    return browser.evaluate(f"document.getElementById({name!r}).innerText")


def test_the_page_loads_nothing_and_names_are_no_markup(records):
    page = page_of(records)
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    assert not re.search(r"(?:src|href)=|https?:|@import", re.sub(r"<script type=\"text/plain\".*?</script>", "", page))
    assert "<title>a &lt;title&gt;</title>" in page
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page)[1])
    assert facts["columns"][0]["classes"] == ["<b>", "three", "two"]
    assert "<b>" not in page.replace("<body>", "")


def test_it_opens_without_requests_and_errors(page):
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.errors == []
    status = text_of(page, "status")
    assert status.startswith("60 records · lattice · accuracy of 10 neighbours 0.500 · trustworthiness 0.750 · ")
    assert page.evaluate("document.title") == text_of(page, "title") == "a <title>"
    assert text_of(page, "legend").split() == ["<b>", "three", "two"]


def test_the_record_is_shown_at_the_pointer(page, records):
    page.mouse("moved", *place_of(page, 37))
    card = text_of(page, "card").split()
    assert card[:3] == ["#37", "label", "two"]
    assert float(card[4]) == pytest.approx(records["columns"]["size"][37], abs=1e-3)
    shown = page.wait_for("""(() => {
      const canvas = document.querySelector("#card canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.some((value) => value) && [canvas.width, canvas.height, ...data.filter((_, i) => i % 4 === 0)];
    })()""")
    factor = shown[0] // 5
    image = np.array(shown[2:]).reshape(shown[1], shown[0])[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_allclose(image, records["images"][37], atol=9)  # 16 shades
    page.mouse("moved", 4, 590)
    assert page.evaluate("document.getElementById('card').hidden")


def test_thumbnails_are_drawn_where_there_is_room(page):
    page.wait_for("""(() => {
      const density = overlay.width / state.camera.width;
      const isDrawn = (slot) => {
        const [left, top] = state.placeOf(slot);
        return overlay.getContext("2d").getImageData(left * density, top * density, 1, 1).data[3] === 255;
      };
      return Array.from(index.keys()).filter(isDrawn).length >= 10;
    })()""")


def test_a_point_that_is_clicked_shows_its_neighbours_by_code(page, records):
    page.click(*place_of(page, 5))
    away = np.square(records["codes"] - records["codes"][5]).sum(1)
    nearest = np.argsort(away)[1:13].tolist()
    assert page.evaluate("state.chosen.near.map((slot) => index[slot])") == nearest
    lines = [line for line in text_of(page, "panel").split("\n") if line.startswith("#")]
    assert lines[0] == "#5 and its 12 nearest by code"
    assert [line.split()[0] for line in lines[1:]] == ["#5", *[f"#{one}" for one in nearest]]
    page.wait_for("""[...document.querySelectorAll("#panel canvas")].every((canvas) =>
      canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value))""")


def test_points_in_a_lasso_are_saved_as_a_file_of_indices(page):
    page.evaluate("document.getElementById('lasso').click()")
    (left, bottom), (right, top) = place_of(page, 0), place_of(page, 32)  # three columns, four rows
    corners = [(left - 9, bottom + 9), (right + 9, bottom + 9), (right + 9, top - 9), (left - 9, top - 9)]
    page.drag(corners)
    assert text_of(page, "count") == "12 selected"
    page.evaluate("document.getElementById('save').click()")
    page.wait_for("true")
    for _ in range(100):
        if page.downloads():
            break
        page.evaluate("new Promise((done) => setTimeout(done, 20))")
    (file,) = page.downloads()
    expected = [10 * row + column for row in range(4) for column in range(3)]
    np.testing.assert_array_equal(np.loadtxt(file, int), expected)
    page.evaluate("document.getElementById('clear').click()")
    assert page.evaluate("document.getElementById('selection').hidden")


def choose(browser, name, at):
    browser.evaluate(f"""(() => {{
      const select = document.getElementById({name!r});
      select.value = {at};
      select.dispatchEvent(new Event("change"));
    }})()""")


def test_view_colour_and_classes_can_be_chosen(page):
    choose(page, "view", 1)
    assert text_of(page, "status").startswith("60 records · noise · ")
    assert "accuracy" not in text_of(page, "status")
    page.evaluate("document.querySelector('#legend button').click()")
    assert page.evaluate("state.faded().reduce((a, b) => a + b)") == 20, "a class is hidden"
    choose(page, "column", 1)
    low, high = (float(end) for end in text_of(page, "legend").split())
    assert 2 <= low < 2.1 < 2.9 < high <= 3
    choose(page, "column", 2)
    assert page.evaluate("document.getElementById('legend').hidden"), "no colours"


def test_zoom_and_pan_keep_the_place_under_the_pointer(page):
    x, y = place_of(page, 37)
    for _ in range(5):
        page.mouse("wheel", x, y, deltaX=0, deltaY=-100)
    assert page.wait_for("state.camera.zoom > 2")
    assert place_of(page, 37) == pytest.approx([x, y], abs=4)  # events are in whole pixels, which are magnified
    x, y = place_of(page, 37)
    page.drag([(x, y), (x + 20, y + 10), (x + 40, y + 20)])
    assert place_of(page, 37) == pytest.approx([x + 40, y + 20], abs=1)
    page.evaluate("document.getElementById('fit').click()")
    assert page.evaluate("state.camera.zoom") == 1


INKED = """(canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 128), 0);
}"""
DRAWN = """(() => {
  pace.every = 1; // as at rest
  morphStart = -Infinity;
  draw(pace.last + 10);
  const canvas = document.getElementById("points");
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return INKED(copy);
})()""".replace("INKED", f"({INKED})")


def test_fewer_points_are_drawn_while_frames_are_slow(page):
    shares = page.evaluate("""(async () => {
      const [one, rests] = [new Pace(() => rests.push(true)), []];
      const shares = [0, 60, 120, 180].map((now) => one.next(now));
      await new Promise((done) => setTimeout(done, 300));
      return [...shares, one.next(2000), rests.length];
    })()""")
    assert shares == [1, 2, 4, 8, 1, 1]


def test_points_are_drawn_with_and_without_webgl(browser, images_page):
    drawn = {}
    for fragment in ("#webgl", "#canvas"):
        browser.open(images_page, fragment)
        kind = text_of(browser, "status").rpartition(" ")[2]
        drawn[kind] = browser.evaluate(DRAWN)
    assert drawn["canvas"] > 10 * N
    if "WebGL" in drawn:
        assert drawn["WebGL"] == pytest.approx(drawn["canvas"], rel=0.5)


@pytest.mark.parametrize(
    ("record", "expected"),
    [("series", "#7"), ("text", "word 7"), ("row", "width"), ("vector", "#7")],
)
def test_other_records_are_shown_as_lines_words_and_lists(record, expected, records, browser, tmp_path):
    rng = np.random.default_rng(1)
    shown = {
        "series": {"record": "series", "values": rng.normal(size=(N, 30, 2))},
        "text": {"record": "text", "values": None, "texts": [f"word {i}" for i in range(N)]},
        "row": {"record": "vector", "values": np.arange(2.0 * N).reshape(N, 2), "value_names": ("height", "width")},
        "vector": {"record": "vector", "values": rng.normal(size=(N, 99))},
    }[record]
    path = tmp_path / "map.html"
    path.write_text(page_of(records, **shown, column=None), encoding="utf-8")
    browser.open(path)
    assert browser.evaluate("document.querySelector('#column').selectedOptions[0].text") == "none"
    small = browser.evaluate(f"({INKED})(overlay)")
    assert (small > 50 * N) == (record in {"series", "text", "vector"}), "small lines and words have room, lists none"
    browser.mouse("moved", *place_of(browser, 7))
    card = text_of(browser, "card")
    assert expected in card
    if record == "row":
        assert card.split()[:4] == ["height", "14", "width", "15"]
    assert browser.evaluate("document.querySelectorAll('#card canvas').length") == (record in {"series", "vector"})
    assert browser.errors == []


def test_thumbnails_of_many_large_images_are_smaller():
    images = np.random.default_rng(0).integers(0, 256, (3, 300, 200, 3), np.uint8)
    assert Sheets.of(images).size == (112, 75)
    noise = np.random.default_rng(0).integers(0, 256, (300, 40, 40), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.pictures.map_page.sprites._MOST_BYTES", 60_000)
        sheets = Sheets.of(noise)
        assert 20 <= sheets.size[0] < 40
        assert sum(map(len, sheets)) == pytest.approx(60_000, rel=0.1)
