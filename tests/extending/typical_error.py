"""An artefact: the errors of the training records, so that records with larger errors can be recognised."""

from dataclasses import dataclass

import numpy as np

from narrows.model.artefacts import Artefact
from narrows.model.inference import reconstruct


@dataclass(frozen=True, eq=False)
class TypicalError(Artefact, name="typical_error", title="typical error"):
    quantiles: np.ndarray  # of the squared errors, at 0, 1, ..., 100 percent
    unit: str

    @classmethod
    def measure(cls, model, records):
        restored = reconstruct(model.chain, records.values)
        errors = np.square(restored - records.values).reshape(len(restored), -1).sum(1)
        return cls(np.quantile(errors, np.linspace(0, 1, 101)), f"squared {model.schema.dtype}")

    def to_tensors(self):
        return {"typical_error.quantiles": self.quantiles}

    def to_json(self):
        return {"typical_error": {"unit": self.unit}}

    @classmethod
    def from_file(cls, tensors, header, model):
        if "typical_error" not in header:
            return None
        return cls(tensors["typical_error.quantiles"], header["typical_error"]["unit"])
