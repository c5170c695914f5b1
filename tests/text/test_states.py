"""States of models of bytes are lent to threads, also where memory is short."""

from types import SimpleNamespace

from narrows.codec.text.states import States


def test_a_state_is_not_lost_if_there_is_no_memory_for_another():
    def copy():
        raise MemoryError

    states = States(lambda: SimpleNamespace(n_bytes=1, copy=copy))
    states._n_waited = 9  # threads have waited for it
    for _ in range(2):  # the second would wait for ever
        with states.one() as state:
            assert state.n_bytes == 1
