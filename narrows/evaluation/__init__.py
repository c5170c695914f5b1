"""Evaluation of models: metrics, baselines, pictures, and a report page."""

from narrows.io.packages import submodules

__getattr__ = submodules("narrows.evaluation", ("denoising", "drawing", "metrics", "report", "scorers"))
