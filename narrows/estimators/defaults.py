"""Chooses the parts for "auto": those that reach good quality on the data in the shortest time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from narrows.adversaries import Adversary
from narrows.bottlenecks import Bottleneck
from narrows.chain import Parts
from narrows.corruptions import Cells, Corruption
from narrows.data.columns import Columns as Statistics
from narrows.errors import InvalidParameterError
from narrows.estimators.map_network import is_map, map_network
from narrows.estimators.real_values import standardising, suited
from narrows.likelihoods import Categorical, Likelihood, Normal
from narrows.likelihoods import Columns as OfColumns
from narrows.networks import Convolutional, Dense, Network, Recurrent, Strided, Temporal
from narrows.parts.options import Integer, SequenceOf, check, optional
from narrows.parts.part import OneOf, as_optional_part, as_part
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing, RobustScale, UnitScale
from narrows.records import Columns, Image, ImageLayout, Schema, Series, Text, Vector

__all__ = ["WITHOUT_PLACES", "choose_parts"]

WITHOUT_PLACES = "glorot"
"""Initial weights of strided networks whose code is no map; "he" takes a fifth more bytes, on MNIST at 22.5 dB."""

# Up to this many values one wide matrix learns an image faster than convolutions: 64×64 with four channels.
_LARGEST_DENSE_IMAGE = 16_384
# Up to this many values 32 latent dimensions suffice, beyond it 128.
_LARGEST_SMALL_RECORD = 4096
# A linear path with this many weights takes 16 MiB in the encoder and 16 MiB in the decoder.
_MOST_PATH_WEIGHTS = 2**22
# Smallest height and width for convolutions.
_SMALLEST_CONVOLVED_IMAGE = 8
# Smallest height and width at which strided convolutions make smaller files than dense layers.
_SMALLEST_STRIDED_IMAGE = 16
# For small files: channels of a map after two stages, and the factor for each further stage. The channels of a
# codeword cost nothing in the file.
_CODEC_CHANNELS = {"rounded": (8, 4), "vector-quantised": (16, 2)}
# A convolutional network has no further stage at this height or width.
_LAST_GRID = 16
# Text: the share of bytes that are replaced in training, with a rate and with a plain code, which has room for texts
# that are unlike all others; the length of the vectors of bytes, the latent dimension, and up to how many scores of a
# record dense layers restore it better in the same time than recurrent ones.
_SUBSTITUTION, _FREE_SUBSTITUTION = 0.05, 0.1
_EMBEDDING, _TEXT_LATENT, _MOST_DENSE_SCORES = 24, 32, 2048
# Rows of a table: the units of hidden layers.
_TABLE_WIDTHS = (256, 256)
# By which a stage of a temporal network divides the steps of long series.
_TEMPORAL_STRIDE = 4


def choose_parts(params: Mapping[str, Any], schema: Schema, columns: Statistics) -> Parts:
    """Return the parts for an autoencoder's parameters and the schema of its records.

    Parameters
    ----------
    params : mapping
        The result of `Autoencoder.get_params`: parts by value, by name, or "auto".
    schema : Schema
        What a record is.
    columns : Statistics
        Statistics of the values. They decide the preprocessing where that is "auto".

    Raises
    ------
    InvalidParameterError
        If a parameter has a value that is not allowed, or two parts cannot be combined.
    """
    owner, shape = "Autoencoder", schema.shape
    if isinstance(schema, Vector):  # all parts are chosen for a vector with the same number of values
        schema = Vector((math.prod(schema.shape),), schema.dtype)
    n_latent = check(owner, "n_latent", params["n_latent"], optional(Integer(1)))
    bottleneck = as_part(Bottleneck, params["bottleneck"])
    is_auto = _is_auto(params["likelihood"])
    likelihood = _likelihood(schema, bottleneck) if is_auto else as_part(Likelihood, params["likelihood"])
    _check_text(likelihood, schema)
    if isinstance(schema, Columns):
        likelihood = _of_columns(likelihood, schema)
    preprocessing = (
        _preprocessing(schema, columns)
        if _is_auto(params["preprocessing"])
        else check(owner, "preprocessing", params["preprocessing"], SequenceOf(OneOf(Preprocessing)))
    )
    corruption = None if params["corruption"] is None else as_part(Corruption, params["corruption"])
    if corruption is not None and corruption.for_images and not isinstance(schema, Image):
        raise InvalidParameterError(
            f"The corruption '{corruption.name}' is for images. Got records of the kind '{schema.kind}'. Set another "
            "corruption, or record='image'."
        )
    if isinstance(schema, Columns) and corruption is None:
        corruption = Cells()  # each column is learned from any of the others
    adversary = as_optional_part(Adversary, params.get("adversary"))
    penalties = check(owner, "penalties", params["penalties"], SequenceOf(OneOf(Penalty)))
    if _is_auto(params["network"]):
        # Values in [0, 1] get a decoder whose output is in [0, 1], unless the likelihood takes logits or scales.
        is_unit = [part.name for part in preprocessing] == ["unit-scale"] and likelihood.outputs_are_values
        restores_only = (corruption, adversary, params["pretraining"]) == (None, None, None) and not penalties
        restores_only = restores_only and params["conditional"] is False
        has_path = restores_only and bottleneck.name == "plain" and likelihood.outputs_are_values
        network = _auto_network(
            schema,
            n_latent,
            bottleneck,
            columns,
            is_unit=is_unit,
            has_path=has_path and _path_fits(schema.shape, n_latent),
        )
    else:
        network = as_part(Network, params["network"])
        _check_network(network, schema, params)
    if n_latent is None and getattr(network, "code_channels", None) is None:
        n_outputs = network.n_outputs(shape)
        usual = _TEXT_LATENT if isinstance(schema, Text) else _n_latent(schema.shape)
        usual = _n_latent_of_columns(schema) if isinstance(schema, Columns) else usual
        n_latent = usual if n_outputs is None else _n_latent_of(n_outputs, bottleneck)
    parts = Parts(
        n_latent=n_latent,
        network=network,
        bottleneck=bottleneck,
        likelihood=likelihood,
        preprocessing=preprocessing,
        corruption=corruption,
        penalties=penalties,
        adversary=adversary,
    )
    return suited(parts, params["real_values"], schema, columns)


def _likelihood(schema: Schema, bottleneck: Bottleneck) -> Likelihood:
    if isinstance(schema, Text):
        return Categorical(substitution=_FREE_SUBSTITUTION if bottleneck.name == "plain" else _SUBSTITUTION)
    if isinstance(schema, Columns):
        return OfColumns()
    return Normal(scale="learned")


def _check_text(likelihood: Likelihood, schema: Schema) -> None:
    """Raise InvalidParameterError if records are texts, and the likelihood is one for others."""
    if isinstance(schema, Text) and not (isinstance(likelihood, Categorical) or likelihood.is_user_code):
        raise InvalidParameterError(
            f"Records of text need the likelihood 'categorical'. Got '{likelihood.name}'. "
            "Use the recipe 'text' or 'auto', or set likelihood='auto'."
        )


def _check_network(network: Network, schema: Schema, params: Mapping[str, Any]) -> None:
    """Raise InvalidParameterError if a network that was given is one for other records."""
    if isinstance(schema, Columns) and network.name != "dense":
        raise InvalidParameterError(
            f"Rows of a table with columns of several kinds need the network 'dense'. Got '{network.name}'. "
            "Set network='dense' or network='auto'."
        )
    is_other = params["record"] == "vector" or isinstance(schema, Series)
    if is_other and network.for_images:
        raise InvalidParameterError(
            f"The network '{network.name}' needs images, but record='{schema.kind}'. "
            "Set network='dense' or record='image'."
        )


def _of_columns(likelihood: Likelihood, schema: Columns) -> Likelihood:
    """Return a likelihood for the columns of a table.

    Raises
    ------
    InvalidParameterError
        If it is one for other records.
    """
    if not isinstance(likelihood, OfColumns):
        raise InvalidParameterError(
            f"Rows of a table need the likelihood 'columns'. Got '{likelihood.name}'. Use the recipe 'table' or "
            "'auto', or set likelihood='auto'."
        )
    fields = schema.fields
    categories, steps, atoms = zip(*((one.n_categories, one.step, one.atoms) for one in fields), strict=True)
    return likelihood.for_columns(categories, steps, atoms)


def _n_latent_of_columns(schema: Columns) -> int:
    """Return the latent dimension for rows of a table: the number of columns, from 2 to 32."""
    # On adult (15 columns) the validation loss is 15.3 nats with 15 numbers, and 19.9 with 7.
    return min(max(len(schema.fields), 2), 32)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _auto_network(
    schema: Schema,
    n_latent: int | None,
    bottleneck: Bottleneck,
    columns: Statistics,
    *,
    is_unit: bool,
    has_path: bool,
) -> Network:
    """Return the network for a bottleneck: one for small files, one with a linear path, or one without.

    Parameters
    ----------
    schema : Schema
        What a record is.
    n_latent : int or None
        Latent dimension, if it was set.
    bottleneck : Bottleneck
        The layer that makes the code.
    columns : Statistics
        Statistics of the values.
    is_unit : bool
        Whether the decoder's output is limited to [0, 1].
    has_path : bool
        Whether a network that is not for small files has a linear path.
    """
    if isinstance(schema, Text):
        return _text_network(schema, columns)
    if isinstance(schema, Columns):
        return Dense(widths=_TABLE_WIDTHS, activation="silu", missing_to_decoder=True)
    if bottleneck.name in _CODEC_CHANNELS:
        return _codec_network(schema, n_latent, "sigmoid" if is_unit else "identity", _CODEC_CHANNELS[bottleneck.name])
    if has_path and is_map(schema.shape, n_latent):
        return map_network(_width(schema.shape), "sigmoid" if is_unit and columns.are_bounded else "identity")
    if has_path:
        output = "soft-clip" if is_unit and columns.are_bounded else "identity"
        return Dense(widths=(_width(schema.shape),), activation="silu", output_activation=output, linear_path=True)
    return _network(schema, "sigmoid" if is_unit else "identity")


def _network(schema: Schema, output_activation: str) -> Network:
    n_values = math.prod(schema.shape)
    layout = _layout(schema, least=_SMALLEST_CONVOLVED_IMAGE)
    if n_values > _LARGEST_DENSE_IMAGE and layout is not None:
        n_stages = max(math.ceil(math.log2(max(layout.height, layout.width) / _LAST_GRID)), 1)
        return Convolutional(
            channels=tuple(min(16 * 2**stage, 64) for stage in range(n_stages)),
            resampling="stride",
            activation="silu",
            initialisation="he",
            start_at_mean=True,
        )
    if n_values > _LARGEST_DENSE_IMAGE and isinstance(schema, Series) and schema.steps >= _SMALLEST_CONVOLVED_IMAGE:
        n_stages = max(math.ceil(math.log(schema.steps / _LAST_GRID, _TEMPORAL_STRIDE)), 1)
        return Temporal(
            channels=tuple(min(16 * 2**stage, 64) for stage in range(n_stages)),
            stride=_TEMPORAL_STRIDE,
            kernel=2 * _TEMPORAL_STRIDE - 1,
            initialisation="he",
            start_at_mean=True,
        )
    # A sigmoid that starts far from the data can saturate for good.
    return Dense(
        widths=(_width(schema.shape),),
        activation="silu",
        output_activation=output_activation,
        start_at_mean=output_activation == "sigmoid",
    )


def _codec_network(schema: Schema, n_latent: int | None, output_activation: str, channels: tuple[int, int]) -> Network:
    """Return a network for a code that is written to a file: a map for images unless its length is given."""
    layout = _layout(schema, least=_SMALLEST_STRIDED_IMAGE)
    if layout is None:
        return Dense(
            widths=(_width(schema.shape), _width(schema.shape)),
            activation="silu",
            output_activation=output_activation,
            start_at_mean=output_activation == "sigmoid",
        )
    n_stages = min(max(math.ceil(math.log2(max(layout.height, layout.width) / _LAST_GRID)), 2), 4)
    return Strided(
        channels=(32, *[64] * (n_stages - 1)),
        code_channels=channels[0] * channels[1] ** (n_stages - 2) if n_latent is None else None,
        output_activation=output_activation,
        initialisation="he" if n_latent is None else WITHOUT_PLACES,
        start_at_mean=output_activation == "sigmoid",
    )


def _text_network(schema: Text, columns: Statistics) -> Network:
    """Return a network for text: dense layers, or recurrent ones if a record has many scores."""
    n_scores = schema.length * (int(columns.high.max()) + 1)
    if n_scores > _MOST_DENSE_SCORES:
        return Recurrent(width=128, patch=1, input_width=16, embedding=_EMBEDDING)
    return Dense(widths=(512, 512), activation="silu", embedding=_EMBEDDING)


def _width(shape: tuple[int, ...]) -> int:
    """Return the units of a hidden layer."""
    return min(max(4 * math.prod(shape), 64), 512)


def _path_fits(shape: tuple[int, ...], n_latent: int | None) -> bool:
    """Return whether a linear path for records of a shape has an acceptable size."""
    n_values = math.prod(shape)
    length = _n_latent(shape) if n_latent is None else n_latent
    return n_values <= _LARGEST_DENSE_IMAGE and n_values * length <= _MOST_PATH_WEIGHTS


def _layout(schema: Schema, *, least: int) -> ImageLayout | None:
    """Return the layout of images of at least so many pixels in height and width; None for other records."""
    large_enough = isinstance(schema, Image) and min(schema.layout.height, schema.layout.width) >= least
    return schema.layout if isinstance(schema, Image) and large_enough else None


def _n_latent(shape: tuple[int, ...]) -> int:
    """Return the default latent dimension: a quarter of the values, at most 32, or more for large images."""
    n_values = math.prod(shape)
    return min(max(n_values // 4, 1), 32 if n_values <= _LARGEST_SMALL_RECORD else 128)


def _n_latent_of(n_outputs: int, bottleneck: Bottleneck) -> int:
    """Return the latent dimension for an encoder with that many outputs."""
    n_latent, rest = divmod(n_outputs, bottleneck.h_per_z)
    if rest or not n_latent:
        raise InvalidParameterError(
            f"The bottleneck '{bottleneck.name}' needs {bottleneck.h_per_z} outputs of the encoder for each number of "
            f"the code. Got an encoder with {n_outputs} outputs. Change its last layer."
        )
    return n_latent


def _preprocessing(schema: Schema, columns: Statistics) -> tuple[Preprocessing, ...]:
    shape, dtype = schema.shape, schema.dtype
    if isinstance(schema, Text):
        return ()
    if isinstance(schema, Columns):
        return (RobustScale(scaled=tuple(not one.n_categories for one in schema.fields)),)
    if dtype == np.bool_ or (dtype == np.uint8 and (columns.are_bounded or len(shape) > 1)):
        return (UnitScale(),)
    if columns.are_bounded:
        return (UnitScale(),)
    return standardising(schema, columns)
