"""`plan`, `compress --plan` and `merge`: the options of a plan hold for its shards, and no others are accepted."""

from pathlib import Path

import numpy as np
import pytest


def test_shards_take_the_options_of_their_plan(narrows, model, digits):
    np.savez("x.npz", images=digits[1], other=digits[0])
    options = ["--key", "images", "--limit", "300", "--lossless", "--chunk-records", "128", "-q"]
    made = narrows.json("plan", "x.npz", "-m", model, "-o", "p.json", *options)
    assert (made["n_items"], made["items_apart"], made["most_shards"], made["error_bound"]) == (300, 256, 2, 0)
    for k, n_records in ((1, 256), (2, 44)):
        shard = ("--plan", "p.json", "--shard", f"{k}/2", "-o", f"{k}.narrows")
        assert narrows.json("compress", "x.npz", *shard)["records"] == n_records
    assert "300 records of 2 parts" in narrows("merge", "2.narrows", "1.narrows", "-o", "all.narrows").stdout
    narrows("compress", "x.npz", "-m", model, "-o", "plain.narrows", *options)
    assert Path("all.narrows").read_bytes() == Path("plain.narrows").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compress digits:test --shard 1/2 -o a.narrows", "--shard needs --plan"),
        ("compress digits:test --plan p.json --psnr 20 -o a.narrows", "--psnr cannot be combined with --plan"),
        ("compress digits:test --plan p.json --limit 3 -o a.narrows", "--limit cannot be combined with --plan"),
        ("compress digits:test --plan p.json --append -o a.narrows", "--append cannot be combined with --plan"),
        ("compress digits:test --plan p.json", "Missing option '-o'"),
        ("compress digits:test --plan none.json -o a.narrows", "There is no plan 'none.json'"),
        ("compress digits:train --plan p.json -o a.narrows", "The plan was made of other data, digits:test"),
        ("compress digits:test --plan p.json -o a.narrows --shard 2", "must be number and count, such as 2/8"),
        ("plan digits:test -m MODEL -o p.json", "already exists"),
        ("plan digits:test -m MODEL -o p.safetensors", "The name of a plan must not end in .safetensors"),
        ("merge -o a.narrows", "Missing argument"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message, narrows, model):
    narrows("plan", "digits:test", "-m", model, "-o", "p.json", "-q")
    result = narrows.fails(*arguments.replace("MODEL", model).split())
    assert message in " ".join(result.stderr.split())
