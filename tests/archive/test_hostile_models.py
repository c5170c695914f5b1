"""Models that are damaged or made to deceive: a codec that works or an error by name, soon."""

import time


def test_some_hundred_damaged_models(fuzz_models):
    started = time.perf_counter()
    counts = sum((fuzz_models.run(50, seed) for seed in range(100, 110)), start=fuzz_models.Counter())
    assert counts.total() == 500
    assert {outcome for _, outcome in counts} >= {"same", "other", "ModelFileError"}
    assert time.perf_counter() - started < 120
