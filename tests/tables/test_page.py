"""What docs/tables.md shows works as shown."""

import re
import shlex
from pathlib import Path

import pytest

from narrows.training import Training

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()


def test_the_page_works_as_shown(narrows_call, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 2)
    text = "country,amount,price\n" + "".join(f"{'Peru' if i % 2 else 'Chile'},{i},{i / 4}\n" for i in range(120))
    Path("orders.csv").write_text(text)
    Path("later.csv").write_text(text.replace("Peru", "Nepal"))
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            narrows_call(*shlex.split(line)[1:])
    assert Path("back.csv").read_text() == text
    assert Path("later-back.csv").read_text() == Path("later.csv").read_text()
    Path("orders.narrows").unlink()
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(code, "tables.md", "exec"), {})
