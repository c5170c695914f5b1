"""The operations of a frozen decoder; each proves that its sums are exact."""

from narrows.codec.operations.activations import Clip, Lookup, Relu
from narrows.codec.operations.argmax import Argmax
from narrows.codec.operations.branches import Branches
from narrows.codec.operations.codebook import Codebook
from narrows.codec.operations.contract import EXACT_BELOW, MOST_VALUES, LinearOperation, Operation
from narrows.codec.operations.convolutions import Convolution, TransposedConvolution
from narrows.codec.operations.dense import Dense, Rescale
from narrows.codec.operations.recurrence import GRU, LSTM, Recurrence
from narrows.codec.operations.shapes import Reshape, Transpose, Upsample

__all__ = [
    "EXACT_BELOW",
    "GRU",
    "LSTM",
    "MOST_VALUES",
    "Argmax",
    "Branches",
    "Clip",
    "Codebook",
    "Convolution",
    "Dense",
    "LinearOperation",
    "Lookup",
    "Operation",
    "Recurrence",
    "Relu",
    "Rescale",
    "Reshape",
    "Transpose",
    "TransposedConvolution",
    "Upsample",
]
