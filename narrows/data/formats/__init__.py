"""Formats of files and folders.

They are asked in this order whether they recognise a file, and whether a path is theirs to be written to.
"""

from narrows.data.formats.contract import Format, OnRecords, options_of

from narrows.data.formats.images import Images  # isort: skip
from narrows.data.formats.npy import Npy  # isort: skip
from narrows.data.formats.npz import Npz  # isort: skip
from narrows.data.formats.idx import Idx  # isort: skip

__all__ = ["Format", "Idx", "Images", "Npy", "Npz", "OnRecords", "options_of"]
