"""Corruptions: noise on the input during training, which the autoencoder learns to remove."""

from narrows.corruptions.cells import Cells
from narrows.corruptions.contract import Corruption
from narrows.corruptions.gaussian import Gaussian
from narrows.corruptions.masking import Masking
from narrows.corruptions.salt_and_pepper import SaltAndPepper
from narrows.corruptions.shift import Shift

__all__ = ["Cells", "Corruption", "Gaussian", "Masking", "SaltAndPepper", "Shift"]
