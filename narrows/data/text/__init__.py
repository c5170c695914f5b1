"""Text: texts of bytes of any length, and the pieces of them that models take as records."""

from narrows.data.text.pieces import Pieces
from narrows.data.text.texts import Texts

__all__ = ["Pieces", "Texts"]
