"""`export` writes a model as an ONNX file."""

import numpy as np
import pytest


@pytest.mark.parametrize("part", ["encoder", "decoder", "autoencoder"])
def test_a_part_is_computed_without_narrows(narrows, model, part):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    said = narrows("export", model, "-o", "x.onnx", "--part", part).stdout
    assert said.startswith("x.onnx")
    assert part in said
    session = onnxruntime.InferenceSession("x.onnx")
    narrows("encode", "digits:test", "-m", model, "-o", "codes.npy", "-q")
    narrows("reconstruct", "digits:test", "-m", model, "-o", "restored.npy", "-q")
    codes, restored = np.load("codes.npy"), np.load("restored.npy")
    import narrows as package

    given = codes if part == "decoder" else package.data.open("digits:test").values
    (got,) = session.run(None, {session.get_inputs()[0].name: given})
    wanted = codes if part == "encoder" else restored
    if part != "encoder":
        got = got.round().clip(0, 255)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 if part == "encoder" else 1)


def test_the_result_is_one_json_object(narrows, model):
    pytest.importorskip("onnx")
    said = narrows.json("export", model, "-o", "x.onnx", "--part", "encoder")
    assert (said["path"], said["part"]) == ("x.onnx", "encoder")
    assert said["n_bytes"] > 0


def test_names_of_other_kinds_of_files_are_refused(narrows, model):
    assert ".onnx" in narrows.fails("export", model, "-o", "x.npy").output


def test_without_the_package_the_message_says_how_to_install_it(narrows, model, monkeypatch):
    monkeypatch.setattr("narrows.model.onnx.find_spec", lambda name: None)
    assert "pip install 'narrows[onnx]'" in narrows.fails("export", model, "-o", "x.onnx").output
