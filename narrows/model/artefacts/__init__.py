"""Artefacts: what is measured on the training records once a model is trained, and travels with it."""
