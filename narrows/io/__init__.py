"""Files and text: atomic writes, recognition by the first bytes, and numbers as text."""
