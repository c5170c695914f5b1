"""Evaluation of models: metrics, baselines, and a report page."""
