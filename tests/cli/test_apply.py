"""``narrows reconstruct``, ``encode`` and ``decode`` do what the model does in Python."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package


def test_encode_writes_the_codes(narrows, model):
    said = narrows("encode", "digits:test", "-m", model, "-o", "codes.npy", "--limit", "20")
    assert said.stdout == "codes.npy  20 records of 4 float32\n"
    codes = np.load("codes.npy")
    assert np.array_equal(codes, package.load(model).transform("digits:test")[:20])


def test_decode_of_encode_is_reconstruct(narrows, model):
    narrows("encode", "digits:test", "-m", model, "-o", "codes.npy")
    narrows("decode", "codes.npy", "-m", model, "-o", "decoded.npy")
    narrows("reconstruct", "digits:test", "-m", model, "-o", "restored.npy")
    restored = np.load("restored.npy")
    assert restored.shape == (360, 8, 8)
    assert restored.dtype == np.uint8
    assert np.array_equal(np.load("decoded.npy"), restored)


def test_images_restored_into_a_folder_keep_their_names(narrows, model):
    for name in ("a/one.png", "b/two.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(Path("photos", name))
    narrows("reconstruct", "photos", "-m", model, "-o", "restored/")
    assert sorted(path.relative_to("restored").as_posix() for path in Path("restored").rglob("*.png")) == [
        "a/one.png",
        "b/two.png",
    ]


def test_records_that_are_no_files_are_numbered_in_a_folder(narrows, model):
    narrows("reconstruct", "digits", "-m", model, "-o", "restored", "--limit", "3")
    assert sorted(path.name for path in Path("restored").iterdir()) == ["000000.png", "000001.png", "000002.png"]


def test_json_says_what_was_written(narrows, model):
    said = narrows.json("reconstruct", "digits", "-m", model, "-o", "x.npy", "--limit", "3")
    assert said == {"path": "x.npy", "records": 3, "shape": [8, 8], "dtype": "uint8", "warnings": []}


@pytest.mark.parametrize("verb", ["reconstruct", "encode", "decode"])
def test_outputs_are_replaced_only_by_force(verb, narrows, model):
    data = "digits"
    if verb == "decode":
        narrows("encode", "digits", "-m", model, "-o", "codes.npy", "--limit", "5")
        data = "codes.npy"
    Path("out.npy").write_bytes(b"mine")
    assert "already exists" in narrows(verb, data, "-m", model, "-o", "out.npy", code=1).stderr
    assert Path("out.npy").read_bytes() == b"mine"
    narrows(verb, data, "-m", model, "-o", "out.npy", "--limit", "4", "--force")
    assert len(np.load("out.npy")) == 4


def test_key_says_which_array_of_a_file_is_meant(narrows, model):
    np.savez("both.npz", records=np.zeros((3, 8, 8), np.uint8), codes=np.zeros((2, 4), np.float32))
    narrows("encode", "both.npz", "-m", model, "-o", "codes.npy", "--key", "records")
    assert np.load("codes.npy").shape == (3, 4)
    narrows("decode", "both.npz", "-m", model, "-o", "restored.npy", "--key", "codes")
    assert np.load("restored.npy").shape == (2, 8, 8)


def test_device_is_passed_on(narrows, model):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    for verb in ("encode", "reconstruct"):
        refused = narrows(verb, "digits", "-m", model, "-o", "x.npy", "--device", "cuda", code=2)
        assert "PyTorch finds none" in refused.stderr


def test_codes_go_to_npy_files_only(narrows, model):
    assert ".npy" in narrows("encode", "digits", "-m", model, "-o", "codes.csv", code=2).stderr
    assert ".npy" in narrows("reconstruct", "digits", "-m", model, "-o", "restored.csv", code=1).stderr
    assert not Path("restored.csv").exists()


@pytest.mark.parametrize("codes", [np.zeros((3, 5)), np.zeros((3, 4, 1)), np.full((3, 4), np.nan)])
def test_codes_that_are_none_of_this_model_are_refused(codes, narrows, model):
    np.save("codes.npy", codes)
    refused = narrows("decode", "codes.npy", "-m", model, "-o", "x.npy", code=1).stderr
    assert "shape (n, 4)" in refused or "NaN" in refused
    assert not Path("x.npy").exists()


def test_switches_reconstruct_but_their_codes_are_not_decoded(narrows):
    settings = ("network=convolutional", "network__unpooling=switches", "network__channels=4")
    about = narrows.train("m.safetensors", "--latent", "2", *(word for one in settings for word in ("--set", one)))
    assert "its code alone cannot be decoded" in about["not_frozen"]
    assert "its code alone cannot be decoded" in " ".join(narrows("info", "m.safetensors").stdout.split())
    narrows("reconstruct", "digits:test", "-m", "m.safetensors", "-o", "restored.npy")
    assert np.array_equal(np.load("restored.npy"), package.load("m.safetensors").reconstruct("digits:test"))
    measured = narrows("evaluate", "digits:test", "-m", "m.safetensors").stdout
    assert "the decoder gets the pooling switches" in measured, "it is more than PCA gets"
    narrows("encode", "digits:test", "-m", "m.safetensors", "-o", "codes.npy")
    for verb, *arguments in (
        ("decode", "codes.npy", "-m", "m.safetensors", "-o", "decoded.npy"),
        ("compress", "digits:test", "-m", "m.safetensors", "-o", "digits.narrows"),
    ):
        refused = " ".join(narrows(verb, *arguments, code=1).stderr.split())
        assert "needs the switches of the records' pooling, so its code alone cannot be decoded" in refused
        assert "network__unpooling='repeat'" in refused
        assert not Path(arguments[-1]).exists()


def test_data_on_another_scale_are_warned_of_once_on_standard_error(narrows, model, digits):
    np.save("unit.npy", digits[1][:20] / 255)
    words = "Warning: unit.npy has values from 0 to 1, but the model was trained on values from 0 to 255"
    for verb, *more in (["evaluate"], ["encode", "-o", "codes.npy"], ["reconstruct", "-o", "x.npy"]):
        result = narrows(verb, "unit.npy", "-m", model, *more)
        assert result.stderr.count(words) == 1
        assert words not in result.stdout
        assert result.stderr.count("Multiply by 255") == 1
    assert narrows("encode", "unit.npy", "-m", model, "-o", "codes.npy", "--force", "--quiet").stderr == ""
    assert narrows("evaluate", "digits:test", "-m", model).stderr == ""
