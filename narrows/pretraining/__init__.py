"""Pretraining: what weights go through before the whole chain is trained."""

from narrows.pretraining.contract import Pretraining
from narrows.pretraining.layer_wise import LayerWise

__all__ = ["LayerWise", "Pretraining"]
