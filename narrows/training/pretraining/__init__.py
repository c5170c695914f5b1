"""Pretraining: training of the weights before the whole chain is trained."""

from narrows.training.pretraining.contract import Pretraining
from narrows.training.pretraining.layer_wise import LayerWise

__all__ = ["LayerWise", "Pretraining"]
