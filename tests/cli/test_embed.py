"""`embed` stores the model in an archive; `train --force` says what it replaces."""

import shutil


def test_embed_replaces_the_archive(narrows, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, "m.safetensors")
    narrows("compress", "digits:test", "-m", "m.safetensors", "-o", "a.narrows", "-q")
    before = narrows("info", "a.narrows").stdout
    assert "found in m.safetensors" in before
    assert narrows.json("info", "m.safetensors")["model_id"] == narrows.json("info", "a.narrows")["model_id"]
    assert "a.narrows" in narrows("embed", "a.narrows", "-m", "m.safetensors").stdout
    (tmp_path / "m.safetensors").unlink()
    assert ", inside" in narrows("info", "a.narrows").stdout
    narrows("restore", "a.narrows", "-o", "x.npy")


def test_records_can_be_appended_after_embedding(narrows, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrows("compress", "digits:test", "-m", model, "-o", "a.narrows", "-q", "--limit", "20")
    narrows("embed", "a.narrows", "-m", model, "-o", "b.narrows")
    narrows("compress", "digits:test", "-m", model, "-o", "b.narrows", "-q", "--limit", "30", "--append")
    assert narrows.json("info", "b.narrows")["n_records"] == 50
    assert narrows.json("info", "b.narrows")["model_id"] == narrows.json("info", model)["model_id"]


def test_training_over_a_model_warns_of_its_archives(narrows, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, "m.safetensors")
    narrows("compress", "digits:test", "-m", "m.safetensors", "-o", "a.narrows", "-q")
    said = narrows("train", "digits", "-o", "m.safetensors", "--epochs", "1", "--limit", "60", "--force").stderr
    assert "is replaced" in said
    assert "written with it, for example a.narrows, cannot be read" in said
