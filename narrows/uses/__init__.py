"""Uses of a trained autoencoder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from narrows.io.packages import naming_missing, submodules_of

if TYPE_CHECKING:
    from narrows.uses.classification import predict_classes
    from narrows.uses.probing import probe_codes
    from narrows.uses.record_map import map_records
    from narrows.uses.record_scores import score_records
    from narrows.uses.search.index import SearchIndex
    from narrows.uses.series_scores import score_series

__all__ = ["SearchIndex", "map_records", "predict_classes", "probe_codes", "score_records", "score_series"]

_HOMES = {
    "SearchIndex": "narrows.uses.search.index",
    "map_records": "narrows.uses.record_map",
    "predict_classes": "narrows.uses.classification",
    "probe_codes": "narrows.uses.probing",
    "score_records": "narrows.uses.record_scores",
    "score_series": "narrows.uses.series_scores",
}
_submodule = submodules_of("narrows.uses")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        return _submodule(name)
    with naming_missing(f"narrows.uses.{name}"):
        return getattr(import_module(_HOMES[name]), name)
