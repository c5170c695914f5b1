"""narrows: train any classic autoencoder on your own data, then use it.

>>> import narrows
>>> model = narrows.recipe("auto", training__epochs=2, random_state=0).fit("digits:train")
>>> model.transform("digits:test").shape
(360, 16)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from narrows import errors
from narrows.io.packages import imported, naming_missing

if TYPE_CHECKING:
    from narrows.archive.compress import compress
    from narrows.archive.reader import open_archive
    from narrows.archive.restore import restore
    from narrows.archive.sharding import compress_shard, merge, plan
    from narrows.archive.trials import try_qualities
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.estimators.byte_model import ByteModel
    from narrows.estimators.classifier import AutoencoderClassifier
    from narrows.estimators.loading import load
    from narrows.estimators.outliers.detector import AutoencoderOutlier
    from narrows.estimators.recipes import recipe
    from narrows.evaluation.metrics import evaluate
    from narrows.parts.user_code import register
    from narrows.training import Training

__all__ = [
    "Autoencoder",
    "AutoencoderClassifier",
    "AutoencoderOutlier",
    "ByteModel",
    "Training",
    "__version__",
    "compress",
    "compress_shard",
    "errors",
    "evaluate",
    "load",
    "merge",
    "open_archive",
    "plan",
    "recipe",
    "register",
    "restore",
    "try_qualities",
]

if TYPE_CHECKING:
    __version__: str

logging.getLogger("narrows").addHandler(logging.NullHandler())  # what is logged is shown only if the program asks

# PyTorch and scikit-learn take seconds to import, so the names that need them are imported at first use.
_HOMES = {
    "Autoencoder": "narrows.estimators.autoencoder",
    "AutoencoderClassifier": "narrows.estimators.classifier",
    "AutoencoderOutlier": "narrows.estimators.outliers.detector",
    "ByteModel": "narrows.estimators.byte_model",
    "Training": "narrows.training",
    "compress": "narrows.archive.compress",
    "compress_shard": "narrows.archive.sharding",
    "evaluate": "narrows.evaluation.metrics",
    "load": "narrows.estimators.loading",
    "merge": "narrows.archive.sharding",
    "open_archive": "narrows.archive.reader",
    "plan": "narrows.archive.sharding",
    "recipe": "narrows.estimators.recipes",
    "register": "narrows.parts.user_code",
    "restore": "narrows.archive.restore",
    "try_qualities": "narrows.archive.trials",
}
# So are the folders with further names, such as `narrows.data.open` and `narrows.networks.Dense`.
_FOLDERS = (
    *("archive", "bottlenecks", "codec", "corruptions", "data", "evaluation", "likelihoods", "lossless", "model"),
    *("networks", "penalties", "pictures", "preprocessing", "records", "training", "uses"),
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("narrows")
    if name not in _HOMES and name not in _FOLDERS:
        raise AttributeError(f"module 'narrows' has no attribute '{name}'")
    with naming_missing(f"narrows.{name}"):
        if name in _FOLDERS:
            return imported(f"narrows.{name}")
        return getattr(imported(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
