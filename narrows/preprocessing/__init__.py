"""Preprocessing: from the data's units to those of the networks and back."""

from narrows.preprocessing.binarise import Binarise
from narrows.preprocessing.contract import Preprocessing, Preprocessor, Step
from narrows.preprocessing.mean_removal import MeanRemoval
from narrows.preprocessing.missing import Missing
from narrows.preprocessing.robust_scale import RobustScale
from narrows.preprocessing.standardise import Standardise
from narrows.preprocessing.unit_scale import UnitScale

__all__ = [
    "Binarise",
    "MeanRemoval",
    "Missing",
    "Preprocessing",
    "Preprocessor",
    "RobustScale",
    "Standardise",
    "Step",
    "UnitScale",
]
