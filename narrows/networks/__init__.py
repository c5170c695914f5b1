"""Networks: encoder and decoder, which own every weight."""

from narrows.networks.contract import Network, Sizes, Switches
from narrows.networks.convolutional import Convolutional
from narrows.networks.dense import Dense
from narrows.networks.strided import Strided

__all__ = ["Convolutional", "Dense", "Network", "Sizes", "Strided", "Switches"]
