"""What docs/custom.md shows works as shown."""

import re
import sys
from pathlib import Path

import pytest

import narrows
from narrows.parts import user_code
from narrows.training import Training

PAGE = (Path(__file__).parents[2] / "docs" / "custom.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::narrows.errors.WorseThanPCAWarning")
def test_the_examples_train_models_that_can_be_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_code, "_REGISTERED", {})
    monkeypatch.setattr(Training, "n_epochs", lambda self, n_records: 1)
    monkeypatch.setattr("narrows.estimators.autoencoder.artefacts_of", lambda value: ("codec",))
    *examples, loading = BLOCKS
    assert len(examples) == 3
    for block in examples:
        names = {"__name__": "my_module"}
        exec(compile(block, "custom.md", "exec"), names)
        assert names["model"].transform("digits:test").shape == (360, 12)
        names["model"].save("model.safetensors", force=True)
        monkeypatch.setitem(sys.modules, "my_module", narrows)
        exec(compile(loading, "custom.md", "exec"), names)
    assert narrows.restore("digits.narrows", model="digits.safetensors").shape == (360, 8, 8)
