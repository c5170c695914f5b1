"""Uses of a trained autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrows.io.packages import names_from, submodules_of

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
_named, _submodule = names_from(_HOMES, "narrows.uses"), submodules_of("narrows.uses")


def __getattr__(name: str) -> Any:
    return _named(name) if name in _HOMES else _submodule(name)
