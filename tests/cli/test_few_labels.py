"""``narrows probe`` and ``narrows classify``: tables, pictures and labels from everywhere; mistakes are explained."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package

QUICK = "--epochs 1 --threads 1 -q --set autoencoder__training__epochs=1"


@pytest.fixture(scope="session")
def classifier(narrows, once):
    quick = ("--n-labels", 100, "--limit", 600, *QUICK.split())
    return str(once("classes.safetensors", lambda path: narrows("classify", "train", "digits", "-o", path, *quick)))


def write_table(path, rows=60):
    rng = np.random.default_rng(0)
    lines = ["length,colour,kind"]
    for i in range(rows):
        kind = ["iris", "rose", ""][i % 3]
        lines.append(f"{rng.normal() + 5 * (i % 3):.2f},{['red', 'blue'][i % 2]},{kind}")
    Path(path).write_text("\n".join(lines) + "\n")


def test_a_probe_prints_a_table_and_draws_it(narrows, model):
    said = narrows("probe", "digits:test", "-m", model, "-o", "probe.png").stdout
    assert "1 a class" in said
    assert "all labels" in said
    assert said.count("±") == 2 * 3 * 2  # with 1 and 10 labels a class; there are not 100
    with Image.open("probe.png") as picture:
        assert picture.size[0] > 1
    found = narrows.json("probe", "digits:test", "-m", model, "--draws", 2)
    assert {len(one["accuracies"]) for one in found["probes"]} == {1, 2}
    assert "needs --test" in narrows("probe", "digits", "-m", model, "--test-labels", "y.txt", code=2).stderr
    test = package.data.open("digits:test")
    np.save("x.npy", test.values[:100])
    Path("y.txt").write_text("".join(f"{one}\n" for one in test.labels[:100]))
    tested = ("--test", "x.npy", "--test-labels", "y.txt", "--draws", 1)
    assert narrows.json("probe", "digits:test", "-m", model, *tested)["test_records"] == 100
    assert "must end in .png" in narrows("probe", "digits", "-m", model, "-o", "probe.csv", code=2).stderr


def test_classes_with_their_probabilities_are_written(narrows, classifier):
    told = ("classify", "predict", "digits:test", "-m", classifier)
    found = narrows.json(*told, "-o", "out.csv", "--picture", "out.png")
    with open("out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["records"] == found["labelled"] == 360
    assert list(rows[0]) == found["columns"] == ["index", "label", "predicted", *(f"p({i})" for i in range(10))]
    wrong = sum(row["label"] != row["predicted"] for row in rows)
    assert found["error"] == pytest.approx(wrong / 360)
    assert all(abs(sum(float(row[f"p({i})"]) for i in range(10)) - 1) < 1e-4 for row in rows)
    with Image.open("out.png") as picture:
        assert picture.size[0] > 1
    assert "% errors" in narrows(*told, "-o", "out.json").stdout
    assert str(json.loads(Path("out.json").read_text())[0]["predicted"]) == rows[0]["predicted"]
    assert narrows(*told, "-o", "-", "-q").stdout.startswith("index,label,predicted,p(0)")


def test_labels_may_be_in_a_file_with_empty_lines(narrows, classifier):
    labels = package.data.open("digits:train").labels[:120].astype(str).tolist()
    Path("labels.txt").write_text("".join(f"{one if i % 3 else ''}\n" for i, one in enumerate(labels)))
    train = ("classify", "train", "digits", "--limit", 120, *QUICK.split(), "--labels")
    found = narrows.json(*train, "labels.txt", "-o", "a.safetensors")
    assert (found["records"], found["labelled"], found["classes"]) == (120, 80, sorted(set(labels)))
    predict = ("classify", "predict", "digits", "--limit", 120, "-m", classifier, "--labels", "labels.txt")
    assert narrows.json(*predict, "-o", "a.csv")["labelled"] == 80
    assert Path("a.csv").read_text().splitlines()[2].startswith("1,1,")
    Path("short.txt").write_text("1\n2\n")
    said = narrows(*train, "short.txt", "-o", "b.safetensors", code=1).stderr
    assert "short.txt has 2 labels, and digits:train 120 records" in said


def test_labels_may_be_a_column_of_a_table(narrows):
    write_table("flowers.csv")
    told = ("--label-column", "kind", *QUICK.split())
    found = narrows.json("classify", "train", "flowers.csv", "-o", "flowers.safetensors", *told)
    assert (found["records"], found["labelled"], found["classes"]) == (60, 40, ["iris", "rose"])
    predict = ("classify", "predict", "flowers.csv", "-m", "flowers.safetensors", "--label-column", "kind")
    found = narrows.json(*predict, "-o", "kinds.csv")
    assert (found["labelled"], found["columns"]) == (40, ["index", "label", "predicted", "p(iris)", "p(rose)"])
    said = narrows(*predict[:-1], "species", "-o", "other.csv", code=1).stderr
    assert "has no column 'species'. Its columns are 'length', 'colour', 'kind'." in said
    said = narrows(*predict[:-2], "-o", "other.csv", code=1).stderr
    assert "additional: 'kind'" in said
    assert "If one has the labels, name it: --label-column NAME" in said
    both = narrows(*predict, "--labels", "labels.txt", "-o", "other.csv", code=2).stderr
    assert "both give the labels" in both
    said = narrows("classify", "train", "digits", "-o", "x.safetensors", "--label-column", "kind", code=1).stderr
    assert "digits:train is no table" in said


def test_the_encoder_of_a_model_is_trained_further(narrows, model):
    told = ("classify", "train", "digits", "--limit", 200, "-m", model, *QUICK.split())
    narrows(*told, "-o", "a.safetensors")
    assert package.load("a.safetensors").pretraining_history_ == []
    assert package.load("a.safetensors").chain_.parts.n_latent == 4
    said = narrows(*told, "--recipe", "auto", "-o", "b.safetensors", code=2).stderr
    assert "--recipe has no effect with -m" in said
    said = narrows("classify", "predict", "digits", "-m", model, "-o", "x.csv", code=1).stderr
    assert "needs a classifier" in said


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "x.npy has no labels. Give them with --labels FILE, with --label-column NAME"),
        (["", "", "", "", ""], "has no labels: all of the 5 given are missing"),
        (["a", "a", "a", "a", "a"], "needs records of at least two classes"),
        (["a", "b", "a", "a", "b", "b"], "labels.txt has 6 labels, and x.npy 5 records"),
        (["a", "b", "a", "a", "a"], "there is one record with the label 'b'"),
    ],
    ids=["none", "all missing", "one class", "another length", "seen once"],
)
def test_labels_that_cannot_be_learned_are_explained(labels, said, narrows):
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8))
    more = []
    if labels is not None:
        Path("labels.txt").write_text("\n".join(labels) + "\n")
        more = ["--labels", "labels.txt"]
    assert said in narrows("classify", "train", "x.npy", "-o", "m.safetensors", *more, code=1).stderr
    assert not Path("m.safetensors").exists()


def test_a_draw_of_labels_must_have_all_classes(narrows):
    said = narrows("classify", "train", "digits", "-o", "m.safetensors", "--n-labels", 9, code=1).stderr
    assert "at least that of the classes, 10" in said


def test_an_interrupted_training_can_be_resumed(narrows, monkeypatch):
    Path("m.safetensors.checkpoint").write_bytes(b"")
    told = ("classify", "train", "digits", "-o", "m.safetensors")
    assert "of an unfinished run exists" in narrows(*told, code=1).stderr
    Path("m.safetensors.checkpoint").unlink()

    def interrupt(self, *_, checkpoint, **__):
        checkpoint.write_bytes(b"state")
        raise KeyboardInterrupt

    monkeypatch.setattr("narrows.AutoencoderClassifier.fit", interrupt)
    said = narrows(*told, code=130).stderr
    assert "The state of the run is saved in m.safetensors.checkpoint. Continue with" in said
    assert "--resume" in said


def test_processes_that_would_write_one_file_are_refused(narrows, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = narrows("classify", "train", "digits", "-o", "m.safetensors", code=1).stderr
    assert "A classifier is trained by one process. Got 2 processes." in said


def test_the_checkpoint_of_a_classifier_at_a_url_is_in_the_current_folder(narrows):
    Path("m.safetensors.checkpoint").write_bytes(b"")
    said = narrows("classify", "train", "digits", "-o", "memory://m.safetensors", code=1).stderr
    assert "The checkpoint 'm.safetensors.checkpoint' of an unfinished run exists" in said
