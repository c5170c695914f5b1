"""Uses of a trained autoencoder."""

from narrows.io.packages import submodules

__getattr__ = submodules("narrows.uses", ("generate",))
