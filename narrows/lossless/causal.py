"""A causal network: predicts each value of an image from the pixels before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from narrows.codec.residual import causal as integer
from narrows.codec.residual.mixture import PRECISION, SIXTEENTHS
from narrows.errors import InvalidParameterError
from narrows.lossless.contract import Residual, ResidualLoss, ResidualModule
from narrows.lossless.pixel_levels import PixelLevels
from narrows.networks.initialisation import initialise
from narrows.parts.options import Integer, Real, option, optional
from narrows.records import ImageLayout, guess_kind
from narrows.training.optimisers import Adam
from narrows.training.settings import Training

__all__ = ["CausalModule", "CausalNetwork"]

_STEPS, _BATCH = 8_000, 32
_SHARE = 4  # a step uses every fourth row, with a varying offset
_SCALE = 0.08  # the scale, relative to the range, for a log-scale of 0
_NARROWEST, _WIDEST = -7.0, 3.0
# 16-bit weights and 32-bit sums are the fastest. Coarser weights can have larger sums: an eighth is left for them.
_LARGEST_WEIGHT, _LARGEST_SUM = 32_767, 7 * 2**28
_LARGEST_ACTIVATION = 32_767
_MOST_CHANNELS = 4


class CausalNetwork(Residual, name="causal"):
    """A network that predicts a mixture of logistic distributions for each value from the pixels before it.

    For images of uint8 or bool. Two hidden layers for each channel take a window of the pixels above
    and to the left, and the previous channels at the same position (a small version of Salimans et al. 2017); the
    position enters as a bias for each row and each column. If the training records have few of the 256 values, or are
    rounded to few levels, the network predicts positions in the list of these. The network is frozen to integer
    arithmetic and stored in the model: archives with `max_error` or `lossless` use it where it makes chunks smaller.

    Examples
    --------
    >>> CausalNetwork(n_hidden=48)
    CausalNetwork(n_hidden=48)
    """

    n_hidden: int = option(Integer(1), "hidden units of each of two layers", default=64)
    n_components: int = option(Integer(1), "logistic distributions for each value", default=6)
    reach: int = option(Integer(1), "size of the window in pixels", default=5)
    epochs: int | None = option(optional(Integer(1)), "passes over the records; None: by their number", default=None)
    learning_rate: float = option(Real(0, open_low=True), "peak learning rate of Adam", default=4e-3)
    max_error: int = option(
        Integer(0, 127),
        "largest error of the archives that the network is trained for: it learns from pixels as these archives "
        "restore them; 0: lossless",
        default=0,
    )
    psnr: float | None = option(
        optional(Real(0, open_low=True)),
        "PSNR in dB over 255 of the archives that the network is trained for: pixels are rounded to a few levels that "
        "take the fewest bytes; None: they are not rounded",
        default=None,
    )

    def _check(self) -> None:
        super()._check()
        if self.psnr is not None and self.max_error:
            raise InvalidParameterError(
                f"Give 'max_error' or 'psnr' of CausalNetwork, not both. Got {self.max_error} and {self.psnr}."
            )

    def build(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        generator: Generator,
        levels: Sequence[int] | None = None,
    ) -> ResidualModule:
        if not self.supports(shape, dtype):
            raise InvalidParameterError(
                f"residual='causal' needs images of dtype uint8 or bool. Got records of shape {shape}, {dtype}. "
                "Set residual=None."
            )
        if (self.max_error or self.psnr) and dtype == np.bool_:
            name, value = ("max_error", self.max_error) if self.max_error else ("psnr", self.psnr)
            raise InvalidParameterError(
                f"The '{name}' of CausalNetwork has no meaning for records of dtype bool. Got {value}. Omit it."
            )
        used = None if self.max_error or dtype == np.bool_ or levels is None else _checked(levels)
        module = CausalModule(self, shape, 255 if dtype == np.uint8 else 1, used)
        initialise(module, "he", generator, keep=("rows", "columns"))
        module.start()
        return module

    @staticmethod
    def supports(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Return whether records of a shape and dtype are images that the network can predict."""
        is_image = guess_kind(shape) == "image" and ImageLayout.of(shape).channels <= _MOST_CHANNELS
        return is_image and dtype in (np.bool_, np.uint8)

    def rounding(self, records: NDArray[Any]) -> PixelLevels | None:
        if self.psnr is None:
            return None
        found = PixelLevels.fit(records, self.psnr)
        if found is None:
            raise InvalidParameterError(
                f"The 'psnr' of CausalNetwork is too high for few levels of pixels. Got {self.psnr:g} dB. Set a lower "
                "one, or 'max_error'."
            )
        return found

    def training(self, n_records: int) -> Training:
        epochs = self.epochs or max(1, round(_STEPS * _BATCH / n_records))
        return Training(epochs=epochs, batch_size=_BATCH, optimiser=Adam(learning_rate=self.learning_rate))

    def freeze(self, module: ResidualModule, sample: Tensor) -> integer.FrozenCausal:
        assert isinstance(module, CausalModule)
        return _frozen(module, sample)


def _checked(levels: Sequence[int]) -> Sequence[int]:
    numbers = np.asarray(levels)
    if not 2 <= len(numbers) <= 256 or numbers[0] < 0 or numbers[-1] > 255 or (np.diff(numbers) <= 0).any():
        raise InvalidParameterError("The levels of a causal network must be 2 to 256 ascending numbers from 0 to 255.")
    return levels


class CausalModule(ResidualModule):
    """Records (n, *shape) of values from 0 to `highest` → parameters of mixtures, for each value.

    With levels, the values are replaced by their positions in this list, and `highest` is the last position.
    """

    levels: Tensor | None
    places: Tensor

    def __init__(
        self, part: CausalNetwork, shape: tuple[int, ...], highest: int, levels: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("levels", None if levels is None else torch.tensor(levels, dtype=torch.int64))
        if levels is not None:
            places = np.minimum(np.searchsorted(np.array(levels), np.arange(highest + 1)), len(levels) - 1)
            self.register_buffer("places", torch.from_numpy(places), persistent=False)
            highest = len(levels) - 1
        self.shape, self.highest, self.reach, self.n_components = shape, highest, part.reach, part.n_components
        self.step = 2 * part.max_error + 1
        self.grid, order = integer.as_image(shape)
        self.order: Tensor
        self.register_buffer("order", torch.from_numpy(order.copy()), persistent=False)
        height, width, channels = self.grid
        n, h = len(integer.window(part.reach, channels)[0]), part.n_hidden
        self.n_inputs = n
        self.first = nn.ModuleList(nn.Linear(n, h) for _ in range(channels))
        self.second = nn.ModuleList(nn.Linear(h, h) for _ in range(channels))
        self.last = nn.ModuleList(nn.Linear(h, 3 * part.n_components) for _ in range(channels))
        self.rows = nn.Parameter(torch.zeros(channels, height, h))
        self.columns = nn.Parameter(torch.zeros(channels, width, h))

    def start(self) -> None:
        """Initialise the components as wide distributions, spread over the range."""
        k = self.n_components
        with torch.no_grad():
            for last in self.last:
                assert isinstance(last, nn.Linear)
                last.weight.mul_(0.1)
                last.bias[k : 2 * k] = torch.linspace(0, 1, k)
                last.bias[2 * k :] = -1.0

    def loss(self, records: Tensor, generator: Generator | None = None) -> ResidualLoss:
        height = self.grid[0]
        if generator is None or height < 2 * _SHARE:
            rows, share = torch.arange(height, device=records.device), 1.0
        else:
            n_rows = height // _SHARE
            rows = torch.randperm(height, generator=generator, device=records.device)[:n_rows].sort().values
            share = n_rows / height
        values = self.images(records)
        chosen, planes = values[:, rows].to(self.rows.dtype), self.padded(values)
        nats = sum(self._nats_of_rows(planes, rows, channel, chosen[..., channel]) for channel in range(self.grid[2]))
        assert isinstance(nats, Tensor)
        return ResidualLoss(nats / share)

    def images(self, records: Tensor) -> Tensor:
        """Return records as images (n, height, width, channels), with the values that archives restore."""
        values = records.flatten(1)[:, self.order].reshape(len(records), *self.grid)
        if self.levels is not None:
            return self.places[values.long()]
        if self.step == 1:
            return values
        return (self._level(values.to(torch.int32)) * self.step).clamp_max(self.highest)

    def _level(self, values: Tensor) -> Tensor:
        """Return the number of steps nearest to each value."""
        return torch.div(values + self.step // 2, self.step, rounding_mode="floor")

    def padded(self, values: Tensor) -> Tensor:
        """Return images in [0, 1], with zeros above, left and right."""
        scaled = values.to(self.rows.dtype) / self.highest
        return nn.functional.pad(scaled, (0, 0, self.reach, self.reach, self.reach, 0))

    def inputs_of(self, planes: Tensor, places: tuple[Tensor, Tensor, Tensor], channel: int) -> Tensor:
        """Return the inputs of a channel's network, (m, inputs), at places of padded images.

        ``places`` are the images, rows and columns of m pixels. The window of a pixel has its own row as the last, of
        which the pixels to the left and the channels before are inputs.
        """
        windows = planes.unfold(1, self.reach + 1, 1).unfold(2, 2 * self.reach + 1, 1).permute(0, 1, 2, 4, 5, 3)
        n_inputs, n_later = self.n_inputs, self.grid[2] - 1 - channel
        inputs = windows[places].flatten(1)[:, :n_inputs]
        inputs[:, n_inputs - n_later :] = 0  # later channels are not decoded yet
        return inputs

    def is_used(self, planes: Tensor, rows: Tensor) -> Tensor:
        """Return at which pixels of some rows, (n, rows, width), a value in the window or the pixel is not 0."""
        reach, (height, width, _) = self.reach, self.grid
        is_there = (planes != 0).any(-1).to(planes.dtype)
        above = nn.functional.max_pool2d(is_there, (1, 2 * reach + 1), 1)
        above = nn.functional.max_pool2d(above, (reach, 1), 1)[:, :height]
        same_row = nn.functional.max_pool2d(is_there[:, reach:], (1, reach + 1), 1)[:, :, :width]
        return torch.maximum(above[:, rows], same_row[:, rows]) > 0

    def biases_of(self, rows: Tensor, channel: int) -> Tensor:
        """Return the biases of a channel's first layer at the places of some rows, (rows, width, hidden)."""
        return self.rows[channel, rows].unsqueeze(1) + self.columns[channel]

    def hidden_of(self, inputs: Tensor, biases: Tensor, channel: int) -> tuple[Tensor, Tensor]:
        """Return the outputs of a channel's hidden layers, (…, hidden), for inputs and biases of their places."""
        a = torch.relu(self.first[channel](inputs) + biases)
        return a, torch.relu(self.second[channel](a))

    def everywhere(self, planes: Tensor, channel: int) -> tuple[Tensor, Tensor]:
        """Return inputs and biases of a channel's network at all pixels of padded images, (n · height · width, …)."""
        height, width, _ = self.grid
        pixels = torch.ones(len(planes), height, width, dtype=torch.bool, device=planes.device)
        biases = self.biases_of(torch.arange(height, device=planes.device), channel).flatten(0, 1)
        image, row, column = pixels.nonzero(as_tuple=True)
        return self.inputs_of(planes, (image, row, column), channel), biases.repeat(len(planes), 1)

    def parameters_of(self, inputs: Tensor, biases: Tensor, channel: int) -> Tensor:
        """Return logits, means and log-scales, (…, 3 K), for inputs of a channel and biases of their places."""
        parameters: Tensor = self.last[channel](self.hidden_of(inputs, biases, channel)[1])
        return parameters

    def _nats_of_rows(self, planes: Tensor, rows: Tensor, channel: int, values: Tensor) -> Tensor:
        """Return −log P of the values (n, rows, width) of a channel, for each record.

        Values of 0 with inputs of 0 have the same probability in all records: it is computed once for each place.
        """
        biases, is_used = self.biases_of(rows, channel), self.is_used(planes, rows)
        record, row, column = is_used.nonzero(as_tuple=True)
        inputs = self.inputs_of(planes, (record, rows[row], column), channel)
        of_places = nn.functional.embedding(row * self.grid[1] + column, biases.flatten(0, 1))
        used = self._nats(self.parameters_of(inputs, of_places, channel), values[is_used])
        nothing = self.parameters_of(planes.new_zeros(self.n_inputs), biases, channel)
        of_zeros = self._nats(nothing, values.new_zeros(biases.shape[:2]))
        nats = (of_zeros * ~is_used).flatten(1).sum(1)
        return nats.index_add(0, record, used)

    def _nats(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Return −log P of values: the mass of a mixture on the step of each; the end values include the tails."""
        logits, means, log_scales = torch.split(parameters, self.n_components, -1)
        narrowness = torch.exp(-log_scales.clamp(_NARROWEST, _WIDEST)) / _SCALE
        level, last = self._level(values).unsqueeze(-1), (self.highest + self.step // 2) // self.step
        x = level * self.step
        upper = ((x + 0.5 * self.step) / self.highest - means) * narrowness
        lower = ((x - 0.5 * self.step) / self.highest - means) * narrowness
        upper = torch.where(level == last, upper.new_tensor(40.0), upper)
        lower = torch.where(level == 0, lower.new_tensor(-40.0), lower)
        sign = torch.where(upper + lower > 0, -1.0, 1.0)  # keeps the precision of small tails
        mass = (torch.sigmoid(upper * sign) - torch.sigmoid(lower * sign)).abs()
        chance = (torch.softmax(logits, -1) * mass).sum(-1)
        floor = 2.0**-PRECISION  # the smallest probability in an archive
        return -torch.log(chance * (1 - (last + 2) * floor) + floor)


def _frozen(module: CausalModule, sample: Tensor) -> integer.FrozenCausal:
    """Round weights with power-of-two scales, and activations so that the largest of the sample have 14 bits.

    Weights have up to 16 bits, fewer if a sum could need more than 32.
    """
    channels, k = module.grid[2], module.n_components
    planes = module.padded(module.images(sample))
    with torch.no_grad():
        hidden = [module.hidden_of(*module.everywhere(planes, channel), channel) for channel in range(channels)]
    largest = [max(float(layers[at].max()) for layers in hidden) for at in (0, 1)]
    fine = [14 - math.ceil(math.log2(max(most, 2.0**-10))) for most in largest]
    first = np.stack([_numbers(layer.weight).T for layer in module.first]) / module.highest
    place = np.stack([_numbers(layer.bias) for layer in module.first])[:, None] + _numbers(module.rows)
    second = np.stack([_numbers(layer.weight).T for layer in module.second])
    # Logits in 1/32 nats, means in sixteenths of a value, scales as the tables count them.
    told = np.repeat([32.0, SIXTEENTHS * float(module.highest), 4 / math.log(2)], k)
    widest = SIXTEENTHS * _SCALE * module.highest
    last = np.stack([_numbers(layer.weight).T for layer in module.last]) * told
    biases = np.stack([_numbers(layer.bias) for layer in module.last]) * told
    biases[:, 2 * k :] += 4 * (math.log2(widest) + 2)
    columns = _numbers(module.columns)
    # Add one half before the shift, so that it rounds.
    f1 = _shift_of(first, module.highest, np.abs(place).max() + np.abs(columns).max() + 0.5 * 2.0 ** -fine[0])
    f1 = max(f1, fine[0])
    second_biases = np.stack([_numbers(layer.bias) for layer in module.second]) * 2.0 ** fine[0]
    f2 = _shift_of(second, _LARGEST_ACTIVATION, np.abs(second_biases).max() + 0.5 * 2.0 ** (fine[0] - fine[1]))
    f2 = max(f2, fine[1] - fine[0])
    f3 = [
        _shift_of(last[:, :, part], _LARGEST_ACTIVATION, (np.abs(biases[:, part]).max() + 0.5) * 2.0 ** fine[1])
        for part in (slice(0, k), slice(k, 2 * k), slice(2 * k, None))
    ]
    shifts = [f1 - fine[0], f2 + fine[0] - fine[1], *(f + fine[1] for f in f3)]
    scaled, sums = np.repeat([2.0**f for f in f3], k), np.repeat([2.0 ** (f + fine[1]) for f in f3], k)
    halves = np.repeat([2.0 ** (shift - 1) for shift in shifts[2:]], k)
    return integer.FrozenCausal(
        lowest=0,
        highest=module.highest,
        reach=module.reach,
        weights_1=_whole(first * 2.0**f1),
        rows=np.rint(place * 2.0**f1 + 2.0 ** (shifts[0] - 1)).astype(np.int64),
        columns=np.rint(columns * 2.0**f1).astype(np.int64),
        weights_2=_whole(second * 2.0**f2),
        biases_2=np.rint(second_biases * 2.0**f2 + 2.0 ** (shifts[1] - 1)).astype(np.int64),
        weights_3=_whole(last * scaled),
        biases_3=np.rint(biases * sums + halves).astype(np.int64),
        shifts=np.array(shifts, np.int64),
        levels=None if module.levels is None else module.levels.cpu().numpy().copy(),
    )


def _numbers(tensor: Any) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return numbers


def _whole(values: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(values), -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int16)


def _shift_of(weights: NDArray[np.float64], most: float, bias: float) -> int:
    """Return the power of two that gives weights (C, n, outputs) as many bits as allowed.

    ``most`` is the largest input and ``bias`` the largest bias, both in the units of the sums before scaling by the
    power.
    """
    largest = max(float(np.abs(weights).max(initial=0)), 2.0**-20)
    # Rounding adds up to half a unit to each weight; the same again is reserved for biases.
    total = max(float(np.abs(weights).sum(1).max(initial=0)) * most + bias, 2.0**-20)
    rounding = weights.shape[1] * most
    return math.floor(math.log2(min(_LARGEST_WEIGHT / largest, (_LARGEST_SUM - rounding) / total)))
