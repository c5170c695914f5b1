"""Basics of all computation: batches, named random streams, and numbers of threads."""
