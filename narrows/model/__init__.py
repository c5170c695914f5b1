"""The fitted model: its parts and artefacts, its file, and its use on arrays."""

from narrows.io.packages import submodules_of

__getattr__ = submodules_of("narrows.model")
