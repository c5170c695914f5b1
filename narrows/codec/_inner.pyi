from typing import Any

from numpy.typing import NDArray

def push(
    states: NDArray[Any],
    starts: NDArray[Any],
    frequencies: NDArray[Any],
    n: int,
    precision: int,
    words: NDArray[Any],
    /,
) -> int: ...
def pop(
    states: NDArray[Any],
    lookup: NDArray[Any],
    tables: NDArray[Any],
    first_table: int,
    precision: int,
    words: NDArray[Any],
    n_read: int,
    values: NDArray[Any],
    /,
) -> int: ...
def predict(
    hidden: NDArray[Any],
    seen: NDArray[Any],
    weights_in: NDArray[Any],
    weights_out: NDArray[Any],
    biases: NDArray[Any],
    shifts: tuple[int, int],
    n_scales: int,
    phase_bits: int,
    offsets: NDArray[Any],
    contexts: NDArray[Any],
    /,
) -> None: ...
def place(
    weights: NDArray[Any],
    means: NDArray[Any],
    scales: NDArray[Any],
    lows: NDArray[Any],
    window: int,
    sigmoid: NDArray[Any],
    slopes: NDArray[Any],
    values: NDArray[Any],
    starts: NDArray[Any],
    frequencies: NDArray[Any],
    escaped: NDArray[Any],
    /,
) -> None: ...
def pop_mixture(
    weights: NDArray[Any],
    means: NDArray[Any],
    scales: NDArray[Any],
    lows: NDArray[Any],
    window: int,
    sigmoid: NDArray[Any],
    slopes: NDArray[Any],
    states: NDArray[Any],
    words: NDArray[Any],
    n_read: int,
    places: NDArray[Any],
    /,
) -> int: ...
