"""Evaluation of models: metrics, baselines, pictures, and a report page."""

from narrows.io.packages import submodules_of

__getattr__ = submodules_of("narrows.evaluation")
