"""The codec: a model's code as whole numbers, coded into bytes, and decoded in arithmetic that is the same everywhere.

What reads (entropy models, integer decoder, `FrozenCodec`) needs NumPy alone. What freezes a trained model
(`calibration`, `freezing`, `priors`) needs PyTorch, and nothing here imports it.
"""

from narrows.codec.frozen import FrozenCodec, Quality
from narrows.codec.model_file import read_frozen

__all__ = ["FrozenCodec", "Quality", "read_frozen"]
