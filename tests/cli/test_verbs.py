"""One call of each verb, for a quick look at whether all of them work (`make test-quick`)."""

from pathlib import Path

import numpy as np
import pytest

from narrows.cli import VERBS

CALLS = {
    "demo": "-o out",
    "train": "digits:train -o out.safetensors --limit 100 --epochs 1",
    "evaluate": "digits:test -m {model}",
    "reconstruct": "digits:test -m {model} -o out.npy",
    "denoise": "digits:test -m {model} -o out.npy",
    "encode": "digits:test -m {model} -o out.npy",
    "decode": "codes.npy -m {model} -o out.npy",
    "index": "digits:test -m {model} -o out.index",
    "search": "digits:test#1 -i digits.narrows -m {model} -o out.csv",
    "outliers": "series.npy -o out.csv",
    "map": "digits:test -m {model} -o out.png",
    "probe": "digits:test -m {model} -o out.png",
    "classify": "train digits:train -o out.safetensors --limit 20 --epochs 1 --recipe dense",
    "generate": "-m {model} -n 2 -o out.png",
    "compress": "digits:test -m {model} -o out.narrows",
    "plan": "digits:test -m {model} -o out.json",
    "merge": "part.narrows -o out.narrows",
    "restore": "digits.narrows -m {model} -o out.npy",
    "list": "digits.narrows",
    "verify": "digits.narrows -m {model}",
    "embed": "digits.narrows -m {model} -o out.narrows",
    "recover": "digits.narrows -m {model} -o out.narrows",
    "export": "{model} -o out.onnx",
    "picture": "-m {model} --kind curves -o out.svg",
    "recipes": "",
    "info": "{model}",
}


def test_there_is_a_call_of_every_verb():
    assert CALLS.keys() == VERBS.keys()


@pytest.mark.parametrize("verb", CALLS)
def test_verb(verb, narrows, model, small_demo, monkeypatch):
    if verb == "export":
        pytest.importorskip("onnx")
    monkeypatch.setattr("narrows.cli.demo._write", lambda *_: None)  # pictures take most of the time of a demo
    np.save("codes.npy", np.zeros((3, 4), np.float32))
    np.save("series.npy", np.arange(100) % 7)
    if "digits.narrows" in CALLS[verb]:
        narrows("compress", "digits:test", "-m", model, "-o", "digits.narrows", "--quiet")
    if verb == "merge":
        narrows("plan", "digits:test", "-m", model, "-o", "p.json", "-q")
        narrows("compress", "digits:test", "--plan", "p.json", "--shard", "1/1", "-o", "part.narrows", "-q")
    said = narrows(verb, *CALLS[verb].format(model=model).split())
    assert said.stdout
    written = [path for path in Path().iterdir() if path.name.startswith("out")]
    assert len(written) == ("-o" in CALLS[verb])
    assert all(path.stat().st_size for path in written)
