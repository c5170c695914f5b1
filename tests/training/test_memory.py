"""Memory that steps use again is not asked of the system again, where the process is ours; others are left alone."""

import contextlib
import ctypes
import os
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from narrows import Autoencoder
from narrows.__main__ import main
from narrows.networks import Convolutional, Dense
from narrows.training import Callback, Training
from narrows.training.memory import KEEP_MEMORY, kept_for_reuse

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")


class PagesOfEpochs(Callback):
    """Counts the pages that the system maps for the process in each epoch."""

    def __init__(self):
        self.counts = []

    def start(self, n_epochs, n_records, epochs_done):
        self.counts.append(pages_mapped())

    def epoch(self, row):
        self.counts.append(pages_mapped())

    @property
    def by_epoch(self):
        return np.diff(self.counts).tolist()


def pages_mapped():
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.usefixtures("chain_only")
def test_the_steps_of_an_epoch_use_the_memory_of_the_epoch_before(monkeypatch):
    monkeypatch.setenv(KEEP_MEMORY, "1")
    n_steps, batch_size = 8, 50
    records = np.zeros((n_steps * batch_size, 28, 28), np.uint8)
    callback = PagesOfEpochs()
    network = Convolutional(channels=(32, 8), resampling="stride")
    training = Training(epochs=3, batch_size=batch_size, device="cpu")
    Autoencoder(4, network=network, training=training, random_state=0).fit(records, callback=callback)
    pages_of_one_layer = n_steps * batch_size * 32 * 28 * 28 * 4 // 4096  # the last but one of the decoder
    assert min(callback.by_epoch[1:]) < pages_of_one_layer / 10


def test_memory_is_given_back_even_after_an_error():
    pieces = 512
    held = 0
    with contextlib.suppress(ZeroDivisionError), kept_for_reuse():
        tensors = [torch.ones(1 << 18) for _ in range(pieces)]  # 1 MiB each, below what is mapped apart
        del tensors
        held = resident_pages()
        raise ZeroDivisionError
    assert resident_pages() < held - pieces * 128  # half of them


@pytest.fixture
def mallopt_calls(monkeypatch):
    """Record what the C library is told; it is not told it."""
    calls = []

    class Library:
        def mallopt(self, *arguments):
            calls.append(arguments)

        def malloc_trim(self, pad):
            calls.append(pad)

    load = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name, **how: Library() if name is None else load(name, **how))
    return calls


def fit():
    training = Training(epochs=1, device="cpu")
    Autoencoder(1, network=Dense(widths=(2,)), training=training, random_state=0).fit(np.zeros((9, 4), np.float32))


@pytest.mark.parametrize("value", [None, "", "0"])
def test_fit_tells_the_c_library_nothing_unless_asked(monkeypatch, mallopt_calls, value):
    monkeypatch.delenv(KEEP_MEMORY, raising=False)
    if value is not None:
        monkeypatch.setenv(KEEP_MEMORY, value)
    fit()
    assert mallopt_calls == []


def test_fit_tells_it_where_it_is_asked(monkeypatch, mallopt_calls):
    monkeypatch.setenv(KEEP_MEMORY, "1")
    fit()
    assert len(mallopt_calls) == 4


def test_only_a_process_of_our_own_asks(monkeypatch):
    monkeypatch.delenv(KEEP_MEMORY, raising=False)
    monkeypatch.setattr("narrows.cli.main", lambda: None)
    assert main.__module__ == "narrows.__main__"
    main()
    assert os.environ.pop(KEEP_MEMORY) == "1"
    monkeypatch.setenv(KEEP_MEMORY, "0")
    main()
    assert os.environ[KEEP_MEMORY] == "0"  # as whoever called it wants it
