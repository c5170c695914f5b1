"""Formats of files and folders.

They are tried in this order, for reading and for writing.
"""

from narrows.data.formats.contract import Format, RecordStream, options_of

from narrows.data.formats.images import Images  # isort: skip
from narrows.data.formats.npy import Npy  # isort: skip
from narrows.data.formats.npz import Npz  # isort: skip
from narrows.data.formats.idx import Idx  # isort: skip
from narrows.data.formats.csv import Csv  # isort: skip
from narrows.data.formats.parquet import Parquet  # isort: skip
from narrows.data.formats.wav import Wav  # isort: skip
from narrows.data.formats.text import Text  # isort: skip

__all__ = ["Csv", "Format", "Idx", "Images", "Npy", "Npz", "Parquet", "RecordStream", "Text", "Wav", "options_of"]
