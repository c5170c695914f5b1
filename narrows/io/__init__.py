"""Files, pipes, text and packages.

Files are written whole or not at all, and recognised by their first bytes.
"""
