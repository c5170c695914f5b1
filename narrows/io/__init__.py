"""Files, text and packages: atomic writes, recognition by first bytes, numbers as text, messages on missing packages."""
