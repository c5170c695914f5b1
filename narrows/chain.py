"""The chain: all parts in order, and the loss of a record.

::

    data ─► preprocessing ─► corruption ─► encoder ─► bottleneck ─► decoder ─► likelihood
                             training      network    h ─► code z    network    log p(x | z), mean
                             only

    loss per record, in nats  =  −log p(x | z)  +  cost of the bottleneck  +  penalties
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.adversaries import Adversary, Forward
from narrows.bottlenecks import Bottleneck, Code
from narrows.corruptions import Corruption
from narrows.errors import DataError, InvalidParameterError
from narrows.likelihoods import Likelihood
from narrows.likelihoods.squares import Squares, squares
from narrows.likelihoods.support import check_settings, check_supports, why_unsupported
from narrows.networks import Network, Sizes, Switches
from narrows.networks.components import components_of, sampled, weights_of_sample
from narrows.networks.linear_path import LinearPathDecoder, LinearPathEncoder
from narrows.numerics.absent import ABSENT
from narrows.numerics.batches import Labelled, batch_size
from narrows.numerics.floats import as_floats
from narrows.numerics.foreign_draws import draws_from
from narrows.numerics.randomness import Stream
from narrows.numerics.record_noise import Noise, RecordNoise, is_training_step
from narrows.parts.loss_term import terms_of
from narrows.penalties import Penalty
from narrows.preprocessing import Missing, Preprocessing, Preprocessor
from narrows.preprocessing.moments import Moments

__all__ = ["Chain", "Loss", "Parts"]

_FIT_BATCH, _SCALE_VALUES = 4096, 2**22  # records of a batch; values that set the initial scale of a likelihood


@dataclass(frozen=True)
class Parts:
    """One part of each axis and the latent dimension: everything a chain is built from, except the data's shape."""

    n_latent: int | None
    network: Network
    bottleneck: Bottleneck
    likelihood: Likelihood
    preprocessing: tuple[Preprocessing, ...] = ()
    corruption: Corruption | None = None
    penalties: tuple[Penalty, ...] = ()
    adversary: Adversary | None = None
    n_classes: int = 0
    """Number of classes that encoder and decoder are conditioned on; 0: not conditional."""
    fill_value: float | None = None
    """The value of records that stands for missing values; None: no value is missing."""


@dataclass(frozen=True)
class Loss:
    """The terms of the loss of n records, in nats, each of shape (n,); ``squares`` returns their squared errors."""

    reconstruction: Tensor
    bottleneck: Tensor
    penalty: Tensor
    statistic: Tensor | None = None
    """The statistic of each record that `Chain.adapt` needs, shape (n,); None if it needs none."""
    squares: Callable[[], Squares] | None = None
    forward: Forward | None = None

    @property
    def total(self) -> Tensor:
        """Sum of the three terms, shape (n,)."""
        return self.reconstruction + self.bottleneck + self.penalty


class Chain(nn.Module):
    """The modules of all parts, built for records of one shape and dtype.

    Parameters
    ----------
    parts : Parts
        The settings.
    shape : tuple of int
        Shape of one record.
    dtype : numpy.dtype
        The records' stored dtype.
    generator : Generator
        Source of the initial weights.
    """

    def __init__(self, parts: Parts, shape: tuple[int, ...], dtype: np.dtype, generator: Generator) -> None:
        super().__init__()
        self.parts, self.shape = parts, shape
        self.corruption, self.penalties = parts.corruption, parts.penalties
        self.user_code = [one.title for one in (parts.network, parts.likelihood, *parts.penalties) if one.is_user_code]
        for term in terms_of(parts):
            term.check_parts(parts)
        dtypes = [dtype, *[np.dtype(np.float64)] * len(parts.preprocessing)]
        self.preprocessor = Preprocessor(
            part.build(shape, received) for part, received in zip(parts.preprocessing, dtypes, strict=False)
        )
        if (found := self.preprocessor.out_shape(shape)) != shape:
            raise InvalidParameterError(f"Preprocessing must keep the shape {shape}. Got {found}. Use other steps.")
        self.likelihood = parts.likelihood.build(shape)
        self.likelihood.set_dtype(np.dtype(dtype))
        self.missing = None if parts.fill_value is None else Missing(parts.fill_value, shape)
        check_settings(self.likelihood, parts, shape, is_affine=self.preprocessor.is_affine)
        self.bottleneck = parts.bottleneck.build(parts.network.code_shape(shape, parts.n_latent))
        h_shape, z_shape = self.bottleneck.h_shape, self.bottleneck.z_shape
        outputs, columns = self.likelihood.out_shape(shape), self.likelihood.columns
        sizes = Sizes(shape, h_shape, z_shape, outputs, parts.n_classes, columns, self.likelihood.has_levels)
        self.encoder, self.decoder = parts.network.build(sizes, generator)
        self.to_channels_last()

    def to_channels_last(self) -> None:
        """Store the kernels of convolutions with the channels last, which is up to 1.5 times as fast."""
        if not self.parts.network.is_user_code:  # such modules may rely on the order of values in memory
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the weights."""
        return self._first_weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights; records and codes must be on it."""
        return self._first_weight.device

    @property
    def _first_weight(self) -> Tensor:
        """A weight of the encoder, or of the decoder if the encoder of a user has none."""
        modules = itertools.chain(self.encoder.modules(), self.decoder.modules())  # each step of a training asks for it
        return next((weight for module in modules for weight in module.parameters(recurse=False)), torch.empty(0))

    def fit_preprocessing(
        self,
        batches: Callable[[int], Iterable[Tensor]],
        *,
        check: Callable[[], None] | None = None,
        weights: Tensor | None = None,
    ) -> None:
        """Fit what is measured on the data before training: the preprocessing, and the decoder's initial output.

        Parameters
        ----------
        batches : callable
            ``batches(size)`` iterates once over the training records in their stored dtype, Tensors (n, *shape).
        check : callable, optional
            Called once the preprocessing is fitted; an error that it raises ends the fit.
        weights : Tensor of shape (n,), optional
            How much each record counts in the principal components that a linear path starts at.

        Raises
        ------
        InvalidParameterError
            If preprocessed values lie outside the likelihood's support.
        """
        size, missing = batch_size(self.shape, _FIT_BATCH), self.missing
        self.preprocessor.fit(lambda: (self._with_nan(batch) for batch in batches(size)))
        if missing is not None:
            missing.fit(lambda: (torch.as_tensor(self.preprocessor(self._with_nan(one))) for one in batches(size)))
            if self.likelihood.columns is not None:  # whose encoders know missing cells
                missing.neutral.fill_(ABSENT)
        if self.likelihood.needs_units:
            self.likelihood.fit_units(*self.preprocessor.offset_and_scale(self.shape, self.device))
        if check is not None:
            check()
        if self.likelihood.columns is not None or self.parts.network.linear_path:
            self._start_at(list(sampled(lambda: batches(size))), weights_of_sample(weights, lambda: batches(size)))
        if not (self.likelihood.is_bounded or self.parts.network.start_at_mean):
            return
        values = Moments.of(lambda: (self.prepare(batch) for batch in batches(size)), per_value=True)
        if self.likelihood.needs_units:
            for batch in batches(size):
                try:
                    self.check_support(batch)
                except DataError as error:  # the likelihood was chosen for these data
                    raise InvalidParameterError(str(error)) from error
        else:
            check_supports(self.likelihood, self.parts.likelihood.name, values.low, values.high)
        start = self.likelihood.parameters_of(values.mean.to(self.dtype))
        if self.likelihood.needs_units and not self.parts.network.linear_path:
            around_mean = (self.prepare(batch) for batch in sampled(lambda: batches(size)))
            self.likelihood.fit_scale((start.expand(len(one), *start.shape), one) for one in around_mean)
        if self.parts.network.start_at_mean:
            self.decoder.init_output_bias(start)

    def _start_at(self, some: list[Tensor], weights: Tensor | None) -> None:
        """Start at the distribution of each column of a table, or at the principal components of some records."""
        x = torch.cat([self.prepare(batch) for batch in some])
        if self.likelihood.columns is not None:
            self.encoder.set_levels(self.likelihood.fit_columns(x))
            self.decoder.init_output_bias(self.likelihood.marginals(x))
            return None
        places = None if self.missing is None else torch.cat([self.missing.places(batch) for batch in some])
        return self.start_at_components(x, places, weights)

    @torch.no_grad()
    def start_at_components(self, records: Tensor, missing: Tensor | None, weights: Tensor | None) -> None:
        """Set the linear path to the principal components of preprocessed records (n, *shape).

        A learned scale of the likelihood is set to their residual. ``missing`` is as `missing_of` returns it.
        """
        assert isinstance(self.encoder, LinearPathEncoder)
        assert isinstance(self.decoder, LinearPathDecoder)
        components = components_of(records, math.prod(self.bottleneck.z_shape), missing, weights)
        self.encoder.start_at_components(components)
        self.decoder.start_at_components(components, self.likelihood.point_estimate(self.shape).positions)
        every, size = -(-records.numel() // _SCALE_VALUES), batch_size(self.shape, _FIT_BATCH)
        few = torch.split(records[::every], size)
        if missing is None:
            self.likelihood.fit_scale((self._through_path(x), x) for x in few)
            return
        pairs = zip(few, torch.split(~missing[::every], size), strict=True)
        self.likelihood.fit_scale((self._through_path(x)[known], x[known]) for x, known in pairs)

    def _through_path(self, x: Tensor) -> Tensor:
        """Return the likelihood's parameters while the network beside the linear path is zero for all labels."""
        no_label = x.new_zeros(len(x), self.parts.n_classes) if self.parts.n_classes else None
        return self.decode(self.encode(x, no_label).z, condition=no_label)

    def prepare(self, records: Tensor) -> Tensor:
        """Return records (n, *shape), of any stored dtype, as preprocessed floats x; missing values are neutral."""
        x: Tensor = self.preprocessor(as_floats(records)).to(self.dtype)
        return x if self.missing is None else self.missing.filled(x, self.missing.places(records))

    def missing_of(self, records: Tensor) -> Tensor | None:
        """Return where values of records (n, *shape) are missing; None for a chain without a fill value."""
        return None if self.missing is None else self.missing.places(records)

    def _with_nan(self, records: Tensor) -> Tensor:
        """Return records as floats, with NaN where values are missing."""
        x = as_floats(records)
        return x if self.missing is None else x.masked_fill(self.missing.places(records), math.nan)

    def check_support(self, batch: Tensor | Labelled) -> None:
        """Refuse records outside the likelihood's support.

        Parameters
        ----------
        batch : Tensor of shape (n, *shape), or Labelled
            Records in their stored dtype.

        Raises
        ------
        DataError
            If preprocessed values are outside the likelihood's support.
        """
        if not self.likelihood.is_bounded:
            return
        x = self.prepare(batch.records if isinstance(batch, Labelled) else batch)
        why = why_unsupported(self.likelihood, self.parts.likelihood.name, x, self.preprocessor.inverse)
        if why is not None:
            raise DataError(why)

    def corrupt(self, x: Tensor, generator: Generator | None, missing: Tensor | None = None) -> Tensor:
        """Return preprocessed records x, corrupted as in training if there are a corruption and a generator.

        Missing values, as returned by `missing_of`, stay neutral.
        """
        if generator is None or self.corruption is None:
            return x
        return self.neutral(self.corruption.corrupt(x, generator), missing)

    def neutral(self, x: Tensor, missing: Tensor | None) -> Tensor:
        """Return x with neutral values where values are missing."""
        return x if missing is None or self.missing is None else self.missing.filled(x, missing)

    def log_prob(self, parameters: Tensor, x: Tensor, missing: Tensor | None = None) -> Tensor:
        """Return log p(x | z) of records x (n, *shape), shape (n,); missing values do not count."""
        if missing is None:
            return self.likelihood.log_prob(parameters, x)
        return self.likelihood.log_prob_of_values(parameters, x).masked_fill(missing, 0.0).flatten(1).sum(1)

    def difference(self, x: Tensor, x_hat: Tensor, missing: Tensor | None) -> Tensor:
        """Return x − x̂, with 0 for missing values."""
        return x - x_hat if missing is None else (x - x_hat).masked_fill(missing, 0.0)

    def observed(self, x: Tensor, noise: Noise, missing: Tensor | None) -> Tensor:
        """Return observations of records x, see `LikelihoodModule.sample_input`; missing values stay neutral."""
        return self.neutral(self.likelihood.sample_input(x, noise), missing)

    def condition(self, labels: Tensor | None) -> Tensor | None:
        """Return classes (n,), numbered from 0, one-hot encoded: shape (n, n_classes)."""
        return None if labels is None else functional.one_hot(labels, self.parts.n_classes).to(self.dtype)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Code:
        """Return the codes of preprocessed records x (n, *shape)."""
        code: Code = self.bottleneck(self.encoder(x, condition))
        return code

    def decode(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        """Return the likelihood's parameters for codes z (n, *z_shape).

        Raises
        ------
        NotDecodableError
            If the decoder unpools with switches (``encoder.with_pool_indices``) and gets none.
        """
        parameters: Tensor = self.decoder(z, switches, condition)
        return parameters

    def restore(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        """Return the mean reconstruction of codes z in the records' own units, floats (n, *shape); see `decode`."""
        return self.preprocessor.inverse(self.likelihood.mean(self.decode(z, switches, condition)).double())

    def loss(
        self, batch: Tensor | Labelled, generator: Generator | None = None, *, corruption: Generator | None = None
    ) -> Loss:
        """Return the loss of records, term by term.

        Parameters
        ----------
        batch : Tensor of shape (n, *shape), or Labelled
            Records in their stored dtype; with labels if the model is conditional.
        generator : Generator, optional
            Source of all noise of training. Without it the loss is measured: nothing is corrupted, codes are those of
            `encode`, and only a loss that is defined by draws is random, with noise that depends on the record alone.
        corruption : Generator, optional
            Source of the corruption in a measurement.
        """
        with draws_from(generator if self.user_code else None):
            return self._loss(batch, generator, corruption, is_shard=False)

    @property
    def couples_records(self) -> bool:
        """Whether the training loss of a record depends on the others of its batch. Such a batch is not split."""
        modules = self.bottleneck.couples_records or self.likelihood.couples_records
        parts = self.parts.network.couples_records or any(penalty.couples_records for penalty in self.penalties)
        return modules or parts

    def shard_loss(self, batch: Tensor | Labelled, generator: Generator) -> Loss:
        """Return the loss of a shard of a training batch, without the updates that `adapt` makes without gradients."""
        return self._loss(batch, generator, None, is_shard=True)

    def adapt(self, statistics: Tensor) -> None:
        """Make the updates without gradients, from the statistics (n,) of all shards of a batch."""
        self.likelihood.adapt_to(statistics)

    def _loss(
        self, batch: Tensor | Labelled, generator: Generator | None, corruption: Generator | None, *, is_shard: bool
    ) -> Loss:
        records, labels = (batch.records, batch.labels) if isinstance(batch, Labelled) else (batch, None)
        prepared, missing, condition = self.prepare(records), self.missing_of(records), self.condition(labels)
        of_records, of_codes = (generator, generator) if generator is not None else self._own_noise(records)
        x = prepared if of_records is None else self.observed(prepared, of_records, missing)
        x_tilde = self.corrupt(x, corruption if generator is None else generator, missing)
        h, switches = self.encoder.with_pool_indices(x_tilde, condition)
        code: Code = self.bottleneck(h, of_codes)
        parameters = self.decode(code.z, switches, condition)
        statistic = None
        if is_training_step(self, generator):
            statistic = self.adapt_to(parameters, x, missing, is_shard=is_shard)
        reconstruction = -self.log_prob(parameters, x, missing)
        costs = (part.cost(self, x_tilde, h, code, generator) for part in self.penalties)
        penalty: Tensor = sum(costs, torch.zeros_like(reconstruction))
        of_values = partial(squares, self.likelihood, parameters.detach(), prepared, missing)
        return Loss(reconstruction, code.cost, penalty, statistic, of_values, Forward(x, code.z, parameters))

    def adapt_to(self, parameters: Tensor, x: Tensor, missing: Tensor | None, *, is_shard: bool) -> Tensor | None:
        """Return the statistic of a shard for `adapt`; make the updates at once for a whole batch."""
        if missing is None or self.missing is None:
            if is_shard:
                return self.likelihood.statistic(parameters, x)
            self.likelihood.adapt(parameters, x)
            return None
        statistic = self.likelihood.statistic(parameters, x.where(~missing, self.likelihood.mean(parameters).detach()))
        if statistic is not None:  # errors are means over all values of a record, of which a share is there
            statistic = statistic / self.missing.share.to(statistic.dtype)
            if not is_shard:
                self.likelihood.adapt_to(statistic)
        return statistic if is_shard else None

    def noise_of(self, records: Tensor, seed: int = 0) -> RecordNoise:
        """Return the random numbers of records (n, *shape), which do not depend on missing values."""
        missing = self.missing_of(records)
        return RecordNoise.of(records if missing is None else as_floats(records).masked_fill(missing, 0.0), seed)

    def _own_noise(self, records: Tensor) -> tuple[RecordNoise | None, RecordNoise | None]:
        """Return each record's noise for likelihood and bottleneck in measurements; None if a part does not draw."""
        if not (self.likelihood.draws or self.bottleneck.draws):
            return None, None
        own = self.noise_of(records)
        of_records = own.stream(Stream.MEASURED_RECORDS) if self.likelihood.draws else None
        return of_records, own.stream(Stream.MEASURED_CODES, 0) if self.bottleneck.draws else None
