"""Files: atomic writes, and recognition by the first bytes."""
