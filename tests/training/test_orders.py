"""Orders by blocks: all records once, near to random, and read before they are needed; in memory nothing changes."""

import mmap
import os
import signal

import numpy as np
import pytest
import torch

import narrows.data
from narrows import Autoencoder, Training
from narrows.data import mapped
from narrows.data.mapped import MappedRecords
from narrows.networks import Dense
from narrows.training import Callback, JoinedRecords, LabelledRecords, Records, orders
from narrows.training.orders import Order, random_order

CPU = torch.device("cpu")


def seeded():
    return torch.Generator().manual_seed(3)


def test_without_blocks_an_order_is_a_permutation_of_all_records():
    assert torch.equal(random_order(1000, seeded()), torch.randperm(1000, generator=seeded()))


@pytest.mark.parametrize(("n", "block"), [(10_003, 7), (1000, 1), (5, 8)])
def test_an_order_by_blocks_has_every_record_once_and_whole_blocks_in_a_window(n, block):
    order = random_order(n, seeded(), block)
    assert torch.equal(order.sort().values, torch.arange(n))
    blocks = [set((window // block).tolist()) for window in order.split(256 * block)]
    if n % block == 0:
        assert sum(map(len, blocks)) == -(-n // block)
    steps = (order.diff() == 1).double().mean()
    assert steps < 0.02 or n == 5, "records of a block follow each other"


@pytest.fixture
def small_blocks(monkeypatch):
    """Windows of four blocks of 64 bytes, and data of more than 400 bytes larger than memory."""
    monkeypatch.setattr(orders, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(orders, "_BLOCKS", 4)
    monkeypatch.setattr(mapped, "usable_memory", lambda: 800)


def of_file(tmp_path, n):
    values = np.arange(4 * n, dtype=np.float32).reshape(n, 4) / n
    np.save(tmp_path / "x.npy", values)
    return narrows.data.open(tmp_path / "x.npy").values


needs_advice = pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="the system takes no advice")


@needs_advice
def test_records_are_asked_for_before_their_batch_and_a_window_ahead(tmp_path, small_blocks, monkeypatch):
    asked = []
    monkeypatch.setattr(MappedRecords, "will_need", lambda file, rows: asked.extend(rows.tolist()))
    rows = np.arange(1, 100, 2)
    plain = Records(of_file(tmp_path, 100), CPU, rows)
    other = Records(np.zeros((3, 4), np.float32), CPU)
    for records in (plain, LabelledRecords(plain, np.zeros(100, np.int64)), JoinedRecords([other, plain])):
        asked.clear()
        order = Order.drawn(records, seeded(), by_blocks=True)
        ahead = []
        for start in range(0, len(records), 5):
            batch = order.batch(start, start + 5)
            wanted = batch - 3 if isinstance(records, JoinedRecords) else batch
            assert {int(rows[index]) for index in wanted if index >= 0} <= set(asked)
            ahead.append(len(asked) - start)
        assert sorted(asked) == rows.tolist()
        assert max(ahead) <= 2 * 16 + 5
    resumed = Order.drawn(plain, seeded(), by_blocks=True)
    asked.clear()
    resumed.batch(40, 45)
    assert asked == rows[resumed.indices[32:]].tolist()


def trained(values, **run):
    training = Training(epochs=2, batch_size=8, validation=0.2, threads=1)
    model = Autoencoder(1, network=Dense(widths=(6,)), training=training, artefacts=(), random_state=0)
    weights = model.fit(values, **run).chain_.state_dict()
    return {name: weight.tolist() for name, weight in weights.items()}


@needs_advice
def test_training_on_a_file_larger_than_memory_is_that_by_the_same_order_in_memory(tmp_path, small_blocks, monkeypatch):
    values = of_file(tmp_path, 60)
    large, in_memory = trained(values), trained(np.array(values))
    assert large != in_memory
    monkeypatch.setattr(mapped, "usable_memory", lambda: 1 << 30)
    assert trained(values) == in_memory, "a file that fits into memory is as an array"
    drawn = Order.drawn
    monkeypatch.setattr(Order, "drawn", lambda *of, **how: drawn(*of, **{**how, "by_blocks": True}))
    assert trained(np.array(values)) == large


class Stop(Callback):
    def step(self, epoch, records_done, loss):
        if records_done == 24:
            os.kill(os.getpid(), signal.SIGTERM)


@needs_advice
def test_a_run_goes_on_by_blocks_where_there_is_more_memory(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    values, path = of_file(tmp_path, 60), tmp_path / "checkpoint"
    whole = trained(values)
    with pytest.raises(SystemExit):
        trained(values, checkpoint=path, callback=Stop())
    monkeypatch.setattr(mapped, "usable_memory", lambda: 1 << 30)
    assert trained(values, checkpoint=path, resume=True) == whole
