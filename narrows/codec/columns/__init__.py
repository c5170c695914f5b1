"""Lossless coding of the rows of tables: typed columns in, the same columns out."""
