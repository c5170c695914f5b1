"""The codec: quantises latent codes to integers, codes these into bytes, and decodes them in integer arithmetic.

The decoder's results are the same on every machine. Reading (entropy models, integer decoder, `FrozenCodec`) needs only
NumPy. Freezing a trained model (`freezing`) needs PyTorch, and nothing else here imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.io.packages import names_from

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec
    from narrows.codec.model_file import read_frozen
    from narrows.codec.operating_point import OperatingPoint

__all__ = ["FrozenCodec", "OperatingPoint", "read_frozen"]

# These are imported on first access, so that `narrows --version` can report `kernels` without NumPy.
_HOMES = {
    "FrozenCodec": "narrows.codec.frozen",
    "OperatingPoint": "narrows.codec.operating_point",
    "read_frozen": "narrows.codec.model_file",
}
__getattr__ = names_from(_HOMES, "narrows.codec")
