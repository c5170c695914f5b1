"""The integer half of a trained model, with which archives are written and read; or why the model has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.chain import Chain
from narrows.errors import InvalidParameterError, NotFreezableError
from narrows.numerics.randomness import Stream, rng
from narrows.training import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrows.codec.frozen import FrozenCodec
    from narrows.codec.residual.causal import Causal

__all__ = ["IntegerHalf"]

_RESIDUAL_SAMPLE = 256  # records that show how large activations get


class IntegerHalf:
    """What archives need of a model, once it is trained.

    Parameters
    ----------
    held : FrozenCodec, bytes or str
        The codec; its bytes as they came from a file, read when they are first needed; or in a sentence why there is
        none.
    """

    def __init__(self, held: FrozenCodec | bytes | str) -> None:
        self._held = held

    @classmethod
    def freeze(
        cls,
        chain: Chain,
        records: Records,
        values_range: tuple[float, float],
        seed: int,
        freeze_residual: Callable[[torch.Tensor], Causal] | None = None,
    ) -> IntegerHalf:
        """Freeze the decoder of a trained chain, or remember why that cannot be.

        Parameters
        ----------
        chain : Chain
            Trained.
        records : Records
            The training data; some are drawn to measure the qualities on.
        values_range : (float, float)
            The least and the largest of their values.
        seed : int
            What they are drawn by.
        freeze_residual : callable, optional
            Makes the frozen network of residuals, given some records.
        """
        from narrows.codec.calibration import SAMPLE, SAMPLE_BYTES, freeze

        of_one = records.tensor[0]
        n_bytes = of_one.numel() * of_one.element_size()
        n = min(len(records), SAMPLE, max(SAMPLE_BYTES // n_bytes, 256))
        rows = np.sort(rng(seed, Stream.CODEC_ROWS).choice(len(records), n, replace=False))
        sample = records.take(torch.from_numpy(rows).to(records.device)).cpu().numpy()
        low, high = values_range
        try:
            codec = freeze(chain, sample, 255.0 if sample.dtype == np.uint8 else high - low)
            if freeze_residual is not None:
                few = torch.from_numpy(sample[:_RESIDUAL_SAMPLE]).to(records.device)
                codec = codec.with_causal(freeze_residual(few))
            return cls(codec)
        except NotFreezableError as error:
            return cls(str(error))

    @property
    def why_not(self) -> str | None:
        """Why there is no codec; None if there is one."""
        return self._held if isinstance(self._held, str) else None

    @property
    def codec(self) -> FrozenCodec:
        """The codec.

        Raises
        ------
        NotFreezableError
            If there is none; says why.
        ModelFileError
            If its bytes are damaged.
        """
        from narrows.codec.frozen import FrozenCodec

        if isinstance(self._held, str):
            raise NotFreezableError(self._held)
        if isinstance(self._held, bytes):
            self._held = FrozenCodec.from_bytes(self._held)
        return self._held

    def steps(self, quality: int | None) -> NDArray[np.float64]:
        """Return what one symbol is worth in each number of the code, shape (n_symbols,), at a quality or the usual.

        Raises
        ------
        NotFreezableError
            If there is no codec.
        InvalidParameterError
            If it has no such quality.
        """
        qualities = self.codec.qualities
        try:
            return qualities[self.codec.usual if quality is None else quality].steps
        except (IndexError, TypeError):
            raise InvalidParameterError(
                f"The 'quality' of quantise must be 0 … {len(qualities) - 1}, or -1 for the finest. Got {quality!r}."
            ) from None
