"""Networks: encoder and decoder, which own every weight."""

from narrows.networks.contract import Decoder, Encoder, LayerPair, Network, Sizes, Switches
from narrows.networks.convolutional import Convolutional
from narrows.networks.custom import CustomNetwork
from narrows.networks.dense import Dense
from narrows.networks.recurrent import Recurrent
from narrows.networks.strided import Strided
from narrows.networks.temporal import Temporal

__all__ = [
    "Convolutional",
    "CustomNetwork",
    "Decoder",
    "Dense",
    "Encoder",
    "LayerPair",
    "Network",
    "Recurrent",
    "Sizes",
    "Strided",
    "Switches",
    "Temporal",
]
