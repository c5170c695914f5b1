"""Artefacts: measured on the training records after training, and stored in the model.

They are measured in this order, the quickest first.
"""

from narrows.model.artefacts.contract import Artefact, TrainingRecords

from narrows.model.artefacts.pca import PrincipalComponents  # isort: skip
from narrows.model.artefacts.column_baselines import ColumnBaselines  # isort: skip
from narrows.model.artefacts.latent_density import LatentDensity  # isort: skip
from narrows.model.artefacts.search_metric import SearchMetric  # isort: skip
from narrows.model.artefacts.archive_codec import ArchiveCodec  # isort: skip

__all__ = [
    "ArchiveCodec",
    "Artefact",
    "ColumnBaselines",
    "LatentDensity",
    "PrincipalComponents",
    "SearchMetric",
    "TrainingRecords",
]
