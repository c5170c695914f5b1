"""The report: one page, complete, that asks for nothing and runs nothing."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from narrows.errors import DataError, OutputExistsError
from narrows.evaluation.metric_table import METRICS
from narrows.evaluation.report import report, write_report
from narrows.pictures import filters

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
VARIATIONAL = (-104.2, 79.5, 24.7, 99.1, 0.1824, 21)
TEXTS = (48_213, 0.993, 0.912, 1.874, 31.5)
CODEBOOK = (88.5, 126)
USUAL = (10_000, 1_234, 3.0042, 2.5, 0.003832, 24.1667, 0.08251, None, 97.5, 140.7, 163.2, 13.87, 10.5, 12.25, 0.0134)
ALL_METRICS = dict(zip(METRICS, (*USUAL, *VARIATIONAL, *TEXTS, *CODEBOOK), strict=True))


class Page(HTMLParser):
    """Tags with their attributes, and the text between them; unclosed tags are an error."""

    EMPTY = frozenset({"meta", "img", "br", "wbr"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def html():
    return report(
        title="Deep autoencoder",
        summary={"model": "digits.narrows", "records": "10,000"},
        metrics=ALL_METRICS,
        comparison=[
            {"name": "this model", "sse_per_record": 3.0, "psnr_db": 24.17},
            {"name": "PCA, 30 components", "sse_per_record": 12.0, "psnr_db": None},
        ],
        pictures={"first-layer filters": filters(np.eye(9), shape=(3, 3))},
        history=[{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0}],
        chain=[("input", "28×28"), ("encoder", "784-30")],
        settings={"training__epochs": 30},
        command="narrows train mnist -o digits.narrows && narrows report digits.narrows",
        versions={"narrows": "0.1.0"},
    )


def test_everything_is_on_the_page(html):
    text = "\n".join(Page(html).text)
    for expected in (
        "Deep autoencoder", "digits.narrows", "10,000", "this model", "PCA, 30 components", "first-layer filters",
        "28×28", "784-30", "training__epochs", "narrows train mnist -o digits.narrows && narrows report",
        "narrows 0.1.0",
    ):  # fmt: skip
        assert expected in text


def test_every_metric_has_its_value_unit_and_meaning(html):
    cells = re.findall(r"<tr><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td></tr>", html)
    table = {key: (value, meaning) for key, value, meaning in cells}
    assert set(table) == set(METRICS)
    assert {key: value for key, (value, _) in table.items()} == {
        "records": "10,000",
        "missing_values": "1,234",
        "sse_per_record": "3.004",
        "median_sse_per_record": "2.5",
        "mse": "0.003832",
        "psnr_db": "24.17 dB",
        "cross_entropy_per_value": "0.08251 nats",
        "nats_per_record": "–",
        "median_nats_per_record": "97.5 nats",
        "bits_per_record": "140.7 bits",
        "own_bits_per_record": "163.2 bits",
        "pca_sse_per_record": "13.87",
        "preprocessed_sse_per_record": "10.5",
        "pca_preprocessed_sse_per_record": "12.25",
        "preprocessed_mse": "0.0134",
        "elbo_nats_per_record": "−104.2 nats",
        "reconstruction_nats_per_record": "79.5 nats",
        "kl_nats_per_record": "24.7 nats",
        "nll_nats_per_record": "99.1 nats",
        "bits_per_dimension": "0.1824 bits",
        "active_units": "21",
        "bytes": "48,213",
        "characters_right": "0.993",
        "records_right": "0.912",
        "bits_per_byte": "1.874 bits",
        "code_bits_per_record": "31.5 bits",
        "codebook_perplexity": "88.5",
        "codewords_in_use": "126",
    }
    assert table["nats_per_record"][1].startswith("Not defined for these data.")
    assert "summed over a record" in table["sse_per_record"][1]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_is_not_defined_is_a_dash(value):
    html = report(title="t", summary={}, metrics={"psnr_db": value, "my_own": value})
    assert html.count("–</td>") == 2
    assert html.count("Not defined for these data.") == 2
    assert "nan" not in html.lower()


def test_a_perfect_restoration_has_an_infinite_ratio():
    assert ">∞ dB</td>" in report(title="t", summary={}, metrics={"psnr_db": float("inf")})


def test_bars_are_as_long_as_the_numbers(html):
    widths = [float(width) for width in re.findall(r'style="width:([\d.]+)%"', html)]
    assert len(widths) == 3  # the rival without a number has no bar
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.01)
    assert html.count("bar ours") == 2


def test_the_page_asks_for_nothing(html):
    page = Page(html)
    assert not re.search(r"https?:|//\w|url\(|@import", re.sub(r"base64,[A-Za-z0-9+/=]+", "", html))
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert all(value.startswith("data:image/png;base64,") for key, value in attributes.items() if key == "src")
        assert "href" not in attributes
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_both_pictures_are_inside(html):
    images = [attributes for tag, attributes in Page(html).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["first-layer filters", "Loss of every epoch, and the learning rate."]


def test_light_dark_and_small_screens_are_thought_of(html):
    assert "prefers-color-scheme: dark" in html
    assert 'content="width=device-width, initial-scale=1"' in html


def test_no_text_can_run():
    html = report(
        title=EVIL,
        summary={EVIL: EVIL},
        metrics={EVIL: 1.0},
        comparison=[{"name": EVIL, EVIL: 1.0}],
        pictures={EVIL: filters(np.eye(4), shape=(2, 2))},
        chain=[(EVIL, EVIL)],
        settings={EVIL: EVIL},
        command=EVIL,
        versions={EVIL: EVIL},
    )
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert "".join(page.text).count(EVIL) == 15  # all places, the title twice, as heading too


def test_what_is_not_given_leaves_no_empty_section():
    html = report(title="t", summary={"a": "b"}, metrics={"mse": 0.5})
    assert re.findall(r"<h2>(.*?)</h2>", html) == ["Measured"]


def test_a_rival_without_a_name_is_refused():
    with pytest.raises(DataError, match="needs a 'name'"):
        report(title="t", summary={}, metrics={}, comparison=[{"mse": 1.0}])


def test_writing_is_all_or_nothing(tmp_path, html):
    path = write_report(tmp_path / "report.html", html)
    assert path.read_text(encoding="utf-8") == html
    with pytest.raises(OutputExistsError, match="--force"):
        write_report(path, "")
    assert path.read_text(encoding="utf-8") == html
    write_report(path, "<p>", force=True)
    assert path.read_text(encoding="utf-8") == "<p>"


def test_the_same_input_gives_the_same_page():
    first, second = (
        report(title="t", summary={}, metrics={"mse": 1.0}, history=[{"epoch": 0, "loss": 2.0}]) for _ in range(2)
    )
    assert first == second


def test_long_paths_may_be_broken_after_a_slash():
    html = report(title="x", summary={"model": "/a/long/path.safetensors"}, metrics={})
    assert "<dd>/<wbr>a/<wbr>long/<wbr>path.safetensors</dd>" in html
