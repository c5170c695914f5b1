"""Uses of a trained autoencoder."""

from narrows.io.packages import submodules_of

__getattr__ = submodules_of("narrows.uses")
