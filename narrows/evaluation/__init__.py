"""Evaluation of models: metrics, baselines, pictures, and a report page."""
