"""Every verb prints one JSON object, with the keys and types that docs/cli-json.md describes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import narrows as package
from narrows.cli import VERBS, main

PAGE = (Path(__file__).parents[2] / "docs" / "cli-json.md").read_text()
CALLS = {
    "demo": ["demo -o out"],
    "train": [
        "train digits -o a.safetensors --limit 100 --epochs 1 --latent 2 -q",
        "train digits -o b.safetensors --limit 50 --epochs 1 --recipe vae --valid digits:test --fill-value 3 -q",
    ],
    "evaluate": ["evaluate digits:test -m {model}", "evaluate digits:test -m {model} --per-record errors.csv"],
    "reconstruct, encode, decode, restore": [
        "reconstruct digits:test -m {model} -o a.npy",
        "encode digits:test -m {model} -o b.npy",
        "decode codes.npy -m {model} -o c.npy",
        "restore digits.narrows -m {model} -o d.npy",
    ],
    "denoise": [
        "denoise digits:test -m {model} -o a.npy -q",
        "denoise digits:test -m {model} -o b.npy --demo-noise 0.3 --limit 10 -q",
    ],
    "index": ["index digits:test -m {model} -o a.index -q"],
    "search": [
        "search digits:test#1 -i digits.narrows -m {model} -k 2 -o a.csv -q",
        "search #3 -i digits.narrows -m {model} -k 2",
    ],
    "outliers": ["outliers series.npy -o a.csv --window 16", "outliers channels.npy -o b.csv --window 16"],
    "outliers of records": ["outliers digits:test -o a.csv -q", "outliers lines.txt -o b.csv -q"],
    "probe": ["probe digits:test -m {model} -o a.png", "probe digits:test -m {model} --draws 1"],
    "classify train": [
        "classify train digits --limit 100 -o a.safetensors --epochs 1 --set autoencoder__training__epochs=1 -q"
    ],
    "classify predict": ["classify predict digits:test -m classes.safetensors -o a.csv --picture a.png -q"],
    "map": ["map digits:test -m {model} -o a.png"],
    "generate": [
        "generate -m {model} -n 2 -o a.npy",
        "generate -m {model} --between digits:test#0 digits:test#1 -o b.npy -q",
        "generate -m {model} --traverse -n 3 -o c.npy",
    ],
    "compress": [
        "compress digits:test -m {model} -o a.narrows -q",
        "compress digits:test -m {model} -o b.narrows -q --max-error 5% --fill-value 0",
        "compress large.npy -m {model} -o c.narrows -q",
    ],
    "compress of a table": ["compress table.csv -o a.narrows -q"],
    "train on a table": ["train table.csv -o a.safetensors --recipe columns -q"],
    "compress --dry-run": ["compress digits:test -m {model} --dry-run --max-error 5% --limit 40 -q"],
    "list": ["list digits.narrows"],
    "verify": ["verify digits.narrows -m {model}", "verify damaged.narrows"],
    "recover": ["recover digits.narrows -o a.narrows"],
    "embed": ["embed digits.narrows -m {model} -o a.narrows"],
    "plan": ["plan digits:test -m {model} -o a.json -q", "plan digits:test -m {model} -o b.json -q --lossless"],
    "merge": ["merge part.narrows -o a.narrows -q"],
    "export": ["export {model} -o a.onnx", "export {model} --part encoder -o b.onnx"],
    "picture": ["picture -m {model} --kind curves -o a.svg"],
    "recipes": ["recipes"],
    "recipes NAME": ["recipes dense"],
    "info of a model": ["info {model}", "info {model} --layers"],
    "train --recipe bytes": ["train lines.txt --recipe bytes -o b.safetensors -q"],
    "info of a model of bytes": ["info bytes.safetensors"],
    "info of a model of tables": ["info table.safetensors"],
    "info of an archive": ["info digits.narrows", "info tiled.narrows", "info table.narrows"],
}
NEVER_HERE = {"label", "missing_values"}
"""Optional keys that no call above prints: they need a conditional model, and one with a fill value."""


def documented(section):
    """Return the types of the keys of a section of the page."""
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\| `(.+?)` \| (.+?) \| .+ \|$", text, re.MULTILINE))


def is_of(value, kind):
    """Return whether a value has a type as the page writes it: "number or null", "list of integer"."""
    kind = kind.removesuffix(", optional")
    if kind.startswith("list") and isinstance(value, list):
        inner = kind.removesuffix(", or null").removeprefix("list").removeprefix(" of ")
        return not inner or all(is_of(one, inner) for one in value)
    types = {"number": (int, float), "integer": int, "text": str, "boolean": bool, "object": dict, "null": type(None)}
    names = re.split(r", or | or |, ", kind)
    found = [types[name] for name in names if not name.startswith("list")]
    return any(isinstance(value, one) and not (isinstance(value, bool) and one is not bool) for one in found)


def flat(value, keys, prefix=""):
    """Yield the keys and values of an object, and of objects inside whose keys are on the page."""
    for name, one in value.items():
        key = f"{prefix}{name}"
        yield key, one
        if isinstance(one, dict) and any(known.startswith(f"{key}.") for known in keys):
            yield from flat(one, keys, f"{key}.")
        if isinstance(one, list) and any(known.startswith(f"{key}[].") for known in keys):
            for item in one:
                yield from flat(item, keys, f"{key}[].")


def check(printed, keys):
    """Compare an object with the keys and types of the page; return the keys that it has."""
    found = list(flat(printed, keys))
    for key, value in found:
        assert key in keys, f"docs/cli-json.md does not describe {key}"
        assert is_of(value, keys[key]), (key, value, keys[key])
    names = {key for key, _ in found}
    always = {key for key, kind in keys.items() if not kind.endswith("optional") and "." not in key}
    assert always <= names, f"the page describes keys that are missing: {always - names}"
    return names


def test_every_verb_is_on_the_page():
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert {word.strip(",") for title in titles for word in title.split()} >= set(VERBS)
    assert set(titles) == {*CALLS, "every verb", "errors"}


@pytest.mark.parametrize("section", CALLS)
def test_a_verb_prints_what_the_page_says(section, narrows, model, archive, small_demo, monkeypatch):
    if section == "export":
        pytest.importorskip("onnx")
    Path("lines.txt").write_text("".join(f"line {k}\n" for k in range(40)))
    if "bytes" in section:
        package.ByteModel().fit("lines.txt").save("bytes.safetensors")
    np.save("codes.npy", np.zeros((3, 4), np.float32))
    np.save("large.npy", np.zeros((2, 16, 16), np.uint8))
    waves = np.sin(np.arange(400) / 5) + 9 * (np.abs(np.arange(400) - 300) < 2)
    np.save("series.npy", waves)
    np.save("channels.npy", np.stack([waves, -waves], axis=1))
    Path("table.csv").write_text("a,b\n1,x\n2,y\n")
    for verb, name in (("compress", "table.narrows"), ("train", "table.safetensors")):
        if any(name in call for call in CALLS[section]):
            recipe = ["--recipe", "columns"] if verb == "train" else []
            narrows(verb, "table.csv", "-o", name, *recipe, "-q", "--force")
    if section == "classify predict":
        train = "classify train digits --limit 100 --epochs 1 --set autoencoder__training__epochs=1 -q"
        narrows(*train.split(), "-o", "classes.safetensors")
    Path("damaged.narrows").write_bytes(Path(archive).read_bytes()[:-10])
    for name, data in (("digits.narrows", "digits:test"), ("tiled.narrows", "large.npy")):
        if not any(name in call for call in CALLS[section]):
            continue
        narrows("compress", data, "-m", model, "-o", name, "-q", "--force")
    if section == "merge":
        narrows("plan", "digits:test", "-m", model, "-o", "p.json", "-q")
        narrows("compress", "digits:test", "--plan", "p.json", "--shard", "1/1", "-o", "part.narrows", "-q")
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 20)
    # Pictures take most of the time of a demo.
    monkeypatch.setattr("narrows.cli.demo._write", lambda *_: None)
    monkeypatch.setattr("narrows.evaluation.drawing.draw_qualities", lambda *_: None)
    monkeypatch.setattr("narrows.pictures.save", lambda *_, **__: None)
    keys = documented("every verb") | documented(section)
    seen = set()
    for call in CALLS[section]:
        result = CliRunner().invoke(main, [*call.format(model=model).split(), "--json"])
        seen |= check(json.loads(result.stdout, parse_constant=pytest.fail), keys)
    assert keys.keys() - documented("every verb").keys() - NEVER_HERE <= seen


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        ("info nothing", "DataNotFoundError", 1),
        ("recipes nothing", "UnknownNameError", 2),
        ("info a b", "UsageError", 2),
        ("info", "UsageError", 2),
        ("train digits -o x --bogus", "UsageError", 2),
        ("nothing", "UsageError", 2),
        ("train digits -o x.safetensors --resume --latent 0", "InvalidParameterError", 2),
        ("restore digits.narrows -o none/x.npy", "DataNotFoundError", 1),
    ],
)
def test_an_error_is_an_object_too_and_the_exit_code_and_the_message_are_as_without(call, kind, code, narrows, archive):
    plain = narrows(*call.split(), code=code)
    assert plain.stdout == ""
    result = narrows(*call.split(), "--json", code=code)
    printed = json.loads(result.stdout)
    check(printed, documented("every verb") | documented("errors"))
    assert (printed["error"]["kind"], printed["error"]["exit_code"]) == (kind, code)
    assert result.stderr == plain.stderr
    assert f"Error: {printed['error']['message']}\n" in result.stderr


def test_an_interruption_is_an_object_too(narrows, model, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("narrows.cli.evaluate.load_model", interrupt)
    result = narrows("evaluate", "digits", "-m", model, "--json", code=130)
    assert json.loads(result.stdout)["error"] == {"kind": "Interrupted", "message": "Interrupted.", "exit_code": 130}


def test_errors_do_not_reach_the_output_of_a_pipe(narrows, archive):
    for more in ("-o -", "-o-", "-o - --bogus"):
        result = narrows("restore", archive, "-m", "nothing", *more.split(), "--json", code=2 if "b" in more else 1)
        assert result.stdout == ""
        assert '"error": {' in result.stderr


def test_an_argument_after_two_dashes_is_no_option(narrows):
    assert narrows("info", "--", "--json", code=1).stdout == ""
