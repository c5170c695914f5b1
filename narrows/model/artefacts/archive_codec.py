"""The archive codec of a model: its decoder in integer arithmetic, which writes and reads archives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import InvalidParameterError, NotFreezableError
from narrows.lossless import Residual
from narrows.lossless.contract import ResidualModule
from narrows.model.artefacts.contract import Artefact, TrainingRecords
from narrows.numerics.psnr import peak_of
from narrows.numerics.randomness import Stream, rng
from narrows.training import Records

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec
    from narrows.codec.residual.causal import FrozenCausal
    from narrows.model.fitted import FittedModel

__all__ = ["ArchiveCodec"]

_OLD = "The model was saved by an older version of narrows, which stored no integer decoder. Train it again."

_FEWEST = 256  # records of any size on which qualities are measured
_FEWEST_UNSEEN = 20  # held-out records on which alone PSNR is measured
_RESIDUAL_SAMPLE = 256  # records on which the size of activations is measured


class ArchiveCodec(Artefact, name="codec", title="archive codec"):
    """The codec of a model, or the reason why the model cannot have one.

    Parameters
    ----------
    held : FrozenCodec, bytes or str
        The codec, its bytes from a file (parsed at first use), or a sentence with the reason why there is none.
    """

    def __init__(self, held: FrozenCodec | bytes | str) -> None:
        self._held = held

    @classmethod
    def measure(cls, model: FittedModel, records: TrainingRecords) -> Self:
        return cls.freeze(
            model.chain,
            records.unlabelled,
            model.range,
            model.seed,
            _freeze_residual(model, len(records.unlabelled)),
            unseen=records.unseen,
        )

    @classmethod
    def prepare(cls, model: FittedModel, records: TrainingRecords) -> Callable[[], Self] | None:
        """Return a function that freezes the decoder; None if the sample of records is large or not needed.

        A network of residuals is frozen at once, since the model keeps it until the codec contains it.
        """
        from narrows.codec.freezing.calibration import SAMPLE_BYTES
        from narrows.codec.freezing.limits import too_large

        chain = model.chain
        if chain.parts.n_classes or _freeze_residual(model, 1) is not None or too_large(chain) is not None:
            return None
        if cls.n_sampled(records.unlabelled) * _bytes_of_one(records.unlabelled) > SAMPLE_BYTES:
            return None
        sample = cls.sample_of(records.unlabelled, model.seed, records.unseen)
        return partial(cls._frozen, chain, sample, model.range, cls.n_measured(records.unseen))

    @property
    def depends_on_weights(self) -> bool:
        return self.why_not is None

    def attach(self, model: FittedModel) -> FittedModel:
        """Return the model with this codec, and without the residual model, which the codec contains."""
        model = super().attach(model)
        return model if self.why_not is not None else replace(model, residual=None)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        return {} if self.why_not is not None else {"frozen": np.frombuffer(self.codec.blob, np.uint8)}

    def to_json(self) -> dict[str, Any]:
        return {} if self.why_not is None else {"not_frozen": self.why_not}

    @classmethod
    def from_file(cls, tensors: Mapping[str, NDArray[Any]], header: Mapping[str, Any], model: FittedModel) -> Self:
        if "frozen" in tensors:
            return cls(tensors["frozen"].tobytes())
        return cls(str(header.get("not_frozen", _OLD)))

    @classmethod
    def freeze(
        cls,
        chain: Chain,
        records: Records,
        values_range: tuple[float, float],
        seed: int,
        freeze_residual: Callable[[torch.Tensor], FrozenCausal] | None = None,
        *,
        unseen: Records | None = None,
    ) -> Self:
        """Convert the decoder of a trained chain to integer arithmetic, or store the reason why this is impossible.

        Parameters
        ----------
        chain : Chain
            The trained chain.
            records : Records
            The training data. The qualities are measured on a random sample of them.
        values_range : (float, float)
            Smallest and largest training value.
        seed : int
            Seed of the sample.
        freeze_residual : callable, optional
            Returns the frozen residual model, given records on which its activations are measured.
        unseen : Records, optional
            Held-out records, on which the PSNR of qualities is measured.
        """
        from narrows.codec.freezing.limits import too_large

        reason = None if chain.parts.n_classes else too_large(chain)
        if reason is not None:
            return cls(reason)
        few = None if freeze_residual is None else partial(_with_residual, freeze_residual, records.device)
        sample = cls.sample_of(records, seed, unseen)
        return cls._frozen(chain, sample, values_range, cls.n_measured(unseen), few)

    @classmethod
    def _frozen(
        cls,
        chain: Chain,
        sample: NDArray[Any],
        values_range: tuple[float, float],
        n_measured: int,
        add_residual: Callable[[FrozenCodec, NDArray[Any]], FrozenCodec] | None = None,
    ) -> Self:
        """Freeze the decoder, with qualities measured on a sample of records (n, *shape)."""
        from narrows.codec.freezing.calibration import freeze

        try:
            codec = freeze(chain, sample, peak_of(sample.dtype, *values_range), n_measured)
            return cls(codec if add_residual is None else add_residual(codec, sample))
        except NotFreezableError as error:
            return cls(str(error))

    @classmethod
    def sample_of(cls, records: Records, seed: int, unseen: Records | None = None) -> NDArray[Any]:
        """Return the records (n, *shape) on which the qualities are measured; the PSNR on the first of them."""
        from narrows.codec.freezing.calibration import MEASURED

        rows = np.sort(rng(seed, Stream.CODEC_ROWS).choice(len(records), cls.n_sampled(records), replace=False))
        some = torch.from_numpy(rows).to(records.device)
        records.expect(some)
        sample = np.asarray(records.take(some).cpu().numpy())
        if unseen is None:
            return sample
        few = torch.arange(min(len(unseen), MEASURED, len(sample)))
        first = unseen.take(few.to(unseen.device)).cpu().numpy()
        return np.concatenate([first, sample[: len(sample) - len(few)]]) if len(few) < len(sample) else first

    @staticmethod
    def n_measured(unseen: Records | None) -> int:
        """Return the number of records, the first of the sample, on which the PSNR of qualities is measured."""
        from narrows.codec.freezing.calibration import MEASURED

        return MEASURED if unseen is None or len(unseen) < _FEWEST_UNSEEN else min(len(unseen), MEASURED)

    @staticmethod
    def n_sampled(records: Records) -> int:
        """Return the number of records on which the qualities are measured."""
        from narrows.codec.freezing.calibration import SAMPLE, SAMPLE_BYTES

        return min(len(records), SAMPLE, max(SAMPLE_BYTES // _bytes_of_one(records), _FEWEST))

    @property
    def why_not(self) -> str | None:
        """The reason why there is no codec; None if there is one."""
        return self._held if isinstance(self._held, str) else None

    @property
    def codec(self) -> FrozenCodec:
        """The codec.

        Raises
        ------
        NotFreezableError
            If there is no codec; the message is the reason.
        ModelFileError
            If its bytes are damaged.
        """
        from narrows.codec.frozen import FrozenCodec

        if isinstance(self._held, str):
            raise NotFreezableError(self._held)
        if isinstance(self._held, bytes):
            self._held = FrozenCodec.from_bytes(self._held)
        return self._held

    def steps(self, quality: int | None, method: str = "quantise") -> NDArray[np.float64]:
        """Return the quantisation step of each symbol, shape (n_symbols,), at a quality or the default quality.

        An error names the method to which the quality was given.

        Raises
        ------
        NotFreezableError
            If there is no codec.
        InvalidParameterError
            If the codec has no such quality.
        """
        qualities = self.codec.qualities
        try:
            return qualities[self.codec.default if quality is None else quality].steps
        except (IndexError, TypeError):
            raise InvalidParameterError(
                f"The 'quality' of {method} must be from 0 to {len(qualities) - 1}, or -1 for the finest quality. "
                f"Got {quality!r}."
            ) from None


def _bytes_of_one(records: Records) -> int:
    of_one = records.tensor[0]
    return int(of_one.numel() * of_one.element_size())


def _with_residual(
    freeze_residual: Callable[[torch.Tensor], FrozenCausal],
    device: torch.device,
    codec: FrozenCodec,
    sample: NDArray[Any],
) -> FrozenCodec:
    """Return the codec with the frozen network of residuals, whose activations are measured on some records."""
    return codec.with_causal(freeze_residual(torch.from_numpy(sample[:_RESIDUAL_SAMPLE]).to(device)))


def _freeze_residual(model: FittedModel, n_records: int) -> Callable[[torch.Tensor], FrozenCausal] | None:
    """Return a function that returns the frozen residual model; None if the model has no such network."""
    if model.residual is not None and model.residual_part is not None:
        return partial(_frozen_residual, model.residual_part, model.residual, n_records)
    held = model.artefacts.get("codec")
    causal = held.codec.causal if isinstance(held, ArchiveCodec) and held.why_not is None else None
    return None if causal is None else lambda sample: causal


def _frozen_residual(part: Residual, module: ResidualModule, n_records: int, sample: torch.Tensor) -> FrozenCausal:
    """Return the frozen network of residuals, with weights as coarse as so many records need."""
    from narrows.codec.freezing.coarse_network import coarser_network
    from narrows.codec.residual.rounding import rounded, weight_reaching

    causal, records = part.freeze(module, sample), sample.cpu().numpy()
    psnr = getattr(part, "psnr", None)
    if psnr is not None:
        records = rounded(records, causal, weight_reaching(records, causal, 255**2 * 10 ** (-psnr / 10)))
    return coarser_network(causal, records, n_records)
