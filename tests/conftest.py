"""What all tests share.

One thread a process, so that a machine with few cores stays usable; as many processes as there are cores to use, if
pytest is asked for them (``-n auto``); MNIST where it is at hand; and a few small trained models, for what can only be
tested of a trained one.

The process that hands the tests out to others loads this file too, so what takes long to import is imported in
fixtures.
"""

import fcntl
import gc
import json
import os
import subprocess
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from subprocess import PIPE, CompletedProcess

import pytest
from hypothesis import HealthCheck, settings

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when PyTorch and NumPy are imported

# The same examples in every run, and as many whoever else uses the machine. Tests may ask for more or fewer.
settings.register_profile(
    "tests", max_examples=50, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

MNIST_AT = [os.environ.get("NARROWS_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"]


def pytest_sessionstart(session):
    gc.disable()
    worker = session.config.pluginmanager.get_plugin("workerinteractor")  # of pytest-xdist
    if worker is not None and not session.config.option.durations:
        worker.sendevent = _only_outcomes(worker.sendevent)


def _only_outcomes(send):
    """Return what sends the controller the outcome of each test, and of its set-up and tear-down where they fail.

    Nothing more is shown, and three messages for each of thousands of tests took a tenth of the time.
    """

    def send_outcomes(name, **message):
        is_unused = name in {"logstart", "logfinish"}
        if name == "testreport":
            is_unused = message["data"]["outcome"] == "passed" and message["data"]["when"] != "call"
        if not is_unused:
            send(name, **message)

    return send_outcomes


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items):
    """Mark combinations of parameters as slow, where a test has the mark ``pairs`` and others have all their pairs."""
    by_test = defaultdict(list)
    for item in items:
        if item.get_closest_marker("pairs"):
            by_test[item.nodeid.partition("[")[0]].append(item)
    for of_test in by_test.values():
        for item in _without_a_pair_of_their_own(of_test):
            item.add_marker(pytest.mark.slow)


def _axes(item):
    """Return the names and values of a test's parameters, or of what its mark makes of them: ``pairs(axes=...)``."""
    axes = item.get_closest_marker("pairs").kwargs.get("axes")
    if axes is not None:
        return sorted(axes(**item.callspec.params).items())
    return sorted((name, id(value)) for name, value in item.callspec.params.items())


def _without_a_pair_of_their_own(items):
    """Return the tests that are left when those with the most pairs of parameters that no other has were taken."""
    pairs = {item: set(combinations(_axes(item), 2)) for item in items}
    missing = set().union(*pairs.values())
    while missing:
        best = max(pairs, key=lambda item: len(pairs[item] & missing))  # the first of several
        missing -= pairs.pop(best)
    return list(pairs)


def pytest_collection_finish(session):
    """Look for garbage seldom, and not among the thousands of tests: it took a third of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return how many processes ``-n auto`` starts: as many as this one may keep busy."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(n_cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # not in a container, or in one without a quota ("max")
        return n_cores


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk():
    """Leave out what only a power cut would show: that thousands of small files reach the disk one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which an invalid descriptor is an error for, too
        yield


@pytest.fixture(scope="session", autouse=True)
def _each_tensor_is_packed_once():
    """Remember the bytes of tensors: hundreds of archives name the size of the same few models."""
    from narrows.codec.parts import part

    packed = {}

    def pack_once(tensor):
        key = tensor.dtype.str, tensor.shape, tensor.tobytes()
        if key not in packed:
            packed[key] = pack_tensor(tensor)
        return packed[key]

    pack_tensor = part.pack_tensor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "pack_tensor", pack_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _each_image_is_encoded_once():
    """Remember the files of other formats: what is printed of most archives compares them with those of few images."""
    from narrows.archive import yardsticks

    encoded = {}

    def encode_once(pixels, name, **how):
        key = pixels.tobytes(), pixels.shape, name, *sorted(how.items())
        if key not in encoded:
            encoded[key] = encode(pixels, name, **how)
        return encoded[key]

    encode = yardsticks._encoded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yardsticks, "_encoded", encode_once)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Return a function by which one of the processes makes a file, and all use it.

    ``once(name, make)`` calls ``make(path)`` unless that has been done, and returns the path.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # in which each process has its own

    def once(name, make):
        path = folder / name
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                make(path)
        return path

    return once


# Forks a process for each request that it reads, and says its number and, at last, how it ended. It is alone when it
# forks, and has imported what takes seconds, but nothing of narrows.
FORKS = """
import gc, json, os, sys
import matplotlib.figure, sklearn.datasets, sklearn.decomposition, sklearn.mixture, torch

gc.freeze()
for line in sys.stdin:
    request = json.loads(line)
    number = os.fork()
    if not number:
        os.setsid()
        os.chdir(request["folder"])
        for stream, name in enumerate(request["outputs"], start=1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY), stream)
        sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
        exec(request["code"], {"__name__": "__main__"})
        sys.exit()
    print(number, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)
"""


class NewProcesses:
    """Runs Python code in processes of their own, one at a time."""

    def __init__(self, process):
        self._process = process

    def start(self, code, outputs):
        """Start a process in this folder with these files as standard output and standard error; return its number."""
        request = {"code": code, "folder": os.getcwd(), "outputs": [str(output) for output in outputs]}
        self._process.stdin.write(json.dumps(request) + "\n")
        return int(self._process.stdout.readline())

    def wait(self):
        """Return the exit code of the process that was started last."""
        return int(self._process.stdout.readline())

    def run(self, code, folder):
        """Run some code to its end, with what it prints in files of a folder."""
        outputs = [folder / "stdout.txt", folder / "stderr.txt"]
        self.start(code, outputs)
        returncode = self.wait()
        return CompletedProcess(code, returncode, *(output.read_text() for output in outputs))


@pytest.fixture(scope="session")
def new_processes():
    """Return what starts processes in which PyTorch and its like are there at once, and narrows is not imported."""
    command, environment = [sys.executable, "-c", FORKS], {**os.environ, "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, bufsize=1, env=environment) as process:
        yield NewProcesses(process)
        process.stdin.close()


@pytest.fixture(scope="session")
def trained_once(once):
    """Return a function that returns a model: what ``fit()`` returned to the first process that asked for the name."""
    import narrows

    return lambda name, fit: narrows.load(once(f"{name}.safetensors", lambda path: fit().save(path)))


@pytest.fixture(scope="session")
def mnist_folder():
    """Return the folder that holds mnist/ and fashion/."""
    for folder in (Path(place) for place in MNIST_AT if place):
        if (folder / "mnist" / "t10k-images-idx3-ubyte.gz").is_file():
            return folder
    return pytest.skip("MNIST is not at hand; set NARROWS_DATA to the folder that holds mnist/")


@pytest.fixture
def mnist(monkeypatch, mnist_folder):
    """Return the folder that holds mnist/ and fashion/; `$NARROWS_DATA` points there during the test."""
    monkeypatch.setenv("NARROWS_DATA", str(mnist_folder))
    return mnist_folder


@pytest.fixture(scope="session")
def mnist_images(mnist_folder):
    """Return the training and the test images, uint8 (60000, 28, 28) and (10000, 28, 28)."""
    import narrows.data

    files = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    return tuple(narrows.data.open(mnist_folder / "mnist" / file).values for file in files)


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def language(request):
    """Return what the codec's inner loops are run in: of a module, first all tests in C, then all in NumPy."""
    return request.param


@pytest.fixture
def loops(language, monkeypatch):
    """Run what asks for this, and only that, with the inner loops in C and again in NumPy: both must say the same."""
    from narrows.codec import kernels

    if language == "compiled" and kernels.compiled is None:
        pytest.skip("narrows was installed without a compiler")
    if language == "numpy":
        monkeypatch.setattr(kernels, "compiled", None)
    return language


@pytest.fixture
def chain_only(monkeypatch):
    """Fit autoencoders without measuring PCA, density and codec, for tests that look at their chains alone."""
    monkeypatch.setattr("narrows.estimators.autoencoder.artefacts_of", lambda value: ())


@pytest.fixture
def pca_only(monkeypatch):
    """Fit autoencoders with PCA as their only artefact, for tests of pictures and of what training says."""
    monkeypatch.setattr("narrows.estimators.autoencoder.artefacts_of", lambda value: ("pca",))


@pytest.fixture
def few_settings(monkeypatch):
    """Try few settings of other denoisers, on two records, for tests that are not about which of them is best."""
    monkeypatch.setattr("narrows.evaluation.denoising._CHOSEN_ON", 2)
    monkeypatch.setattr("narrows.evaluation.denoising._NON_LOCAL_MEANS", ((0.0, 0.4, (3, 6)), (0.5, 0.6, (5, 6))))


@pytest.fixture
def coarse_pictures(monkeypatch):
    """Draw with a quarter of the dots an inch, labels where they come to lie, for tests that don't look at pixels."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from narrows.pictures import saving

    write = saving._write
    monkeypatch.setattr(
        saving, "_write", lambda figure, file, suffix, dpi: write(figure, file, suffix, (dpi or figure.dpi) / 4)
    )
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda self, figure: None)


@pytest.fixture
def codec_only(monkeypatch):
    """Fit autoencoders with the archive codec as their only artefact, for tests of archives."""
    monkeypatch.setattr("narrows.estimators.autoencoder.artefacts_of", lambda value: ("codec",))


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits():
    """Return scikit-learn's handwritten digits: training and test images."""
    import narrows.data

    return tuple(narrows.data.open(f"digits:{split}").values for split in ("train", "test"))


@pytest.fixture
def few_digits(monkeypatch):
    """Let the named data set be 240 training and 120 test digits, for tests of what is done and not of how well."""
    from narrows.data import named

    few = tuple(column[1437 - 240 : 1437 + 120] for column in named._read_digits())
    monkeypatch.setattr(named, "_read_digits", lambda: few)
    monkeypatch.setitem(named.NAMED_SETS, "digits", named.Digits(n_train=240))


@pytest.fixture(scope="session")
def codec_model(digits, trained_once):
    """Return a model of digits for small files: six whole numbers with an autoregressive prior, at 14 dB."""
    import narrows
    from narrows.networks import Dense

    network = Dense(widths=(32,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe(
        "codec", n_latent=6, network=network, likelihood__psnr=14.0, bottleneck__n_hidden=4, random_state=0
    ).set_params(training__epochs=10, training__optimiser__learning_rate=5e-3)
    return trained_once("codec-model", lambda: model.fit(digits[0]))


@pytest.fixture(scope="session")
def large_digits(digits):
    """Return the digits at 16×16: training and test images."""
    import numpy as np

    return tuple(np.kron(images, np.ones((1, 2, 2), np.uint8)) for images in digits)


@pytest.fixture(scope="session")
def map_model(large_digits, trained_once):
    """Return a model of the digits at 16×16 whose code is a map of 2×4×4 whole numbers; hardly trained."""
    import narrows
    from narrows.networks import Strided

    network = Strided(channels=(6, 8), depth=0, code_channels=2, output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe(
        "codec", network=network, likelihood__psnr=14.0, bottleneck__n_hidden=4, random_state=0
    ).set_params(training__epochs=3, training__optimiser__learning_rate=5e-3)
    return trained_once("map-model", lambda: model.fit(large_digits[0]))


@pytest.fixture(scope="session")
def ladder_model(digits, trained_once):
    """Return a model of digits with a plain code of eight numbers, whose qualities the codec makes."""
    import narrows
    from narrows.networks import Dense

    network = Dense(widths=(32,), activation="silu", output_activation="sigmoid", start_at_mean=True)
    training = narrows.Training(epochs=15, batch_size=32)
    model = narrows.Autoencoder(8, network=network, training=training, random_state=0)
    return trained_once("ladder-model", lambda: model.fit(digits[0]))


@pytest.fixture(scope="session")
def table():
    """Return a table of six columns, float32 (400, 6), which three numbers can nearly say."""
    import numpy as np

    rng = np.random.default_rng(0)
    return (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(400, 6))).astype(np.float32)


@pytest.fixture(scope="session")
def table_model(table, trained_once):
    """Return a model of the table with a code of three numbers."""
    import narrows
    from narrows.networks import Dense

    training = narrows.Training(epochs=30, batch_size=32)
    model = narrows.Autoencoder(3, network=Dense(widths=(16,)), training=training, random_state=0)
    return trained_once("table-model", lambda: model.fit(table))


@pytest.fixture
def code_by_default(monkeypatch):
    """Let `compress` take the default quality where nothing is asked for, even where a bound has fewer bytes.

    Most tests are about archives of codes. `tests/archive/test_dial.py` is about the choice.
    """
    monkeypatch.setattr("narrows.archive.plan.default_way", lambda hand, psnr, always: [hand.code(hand.codec.default)])
