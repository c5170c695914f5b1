"""Corruptions: what is done to the input while training, for the autoencoder to undo."""

from narrows.corruptions.contract import Corruption
from narrows.corruptions.gaussian import Gaussian
from narrows.corruptions.masking import Masking
from narrows.corruptions.salt_and_pepper import SaltAndPepper

__all__ = ["Corruption", "Gaussian", "Masking", "SaltAndPepper"]
