"""Export to ONNX: encoder, decoder or both as one file that other programs compute without narrows."""

from __future__ import annotations

import copy
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from narrows.chain import Chain
from narrows.errors import MissingPackageError, NotDecodableError
from narrows.io.files import check_output, write_atomically
from narrows.model.halves import DecoderHalf, EncoderHalf, Reconstruction
from narrows.networks.pooling import NEED_SWITCHES
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Choice, check

__all__ = ["PARTS", "export_onnx"]

PARTS = ("autoencoder", "encoder", "decoder")
_MODULES = {"autoencoder": Reconstruction, "encoder": EncoderHalf, "decoder": DecoderHalf}
_NAMES = {
    "autoencoder": ("records", "restored"),
    "encoder": ("records", "codes"),
    "decoder": ("codes", "restored"),
}
_OPSET = 17  # since 2022: of all that it has, the models need nothing newer
_N = 2  # records of the example that is traced
# Dtypes that the exporter does not know, by those that represent all of their values. Larger ones than 2^63 do not fit.
_STAND_INS = {"uint16": "float32", "uint32": "int64", "uint64": "int64"}


def export_onnx(
    chain: Chain,
    dtype: np.dtype[Any],
    path: str | os.PathLike[str],
    *,
    part: str = "autoencoder",
    force: bool = False,
) -> Path:
    """Write a model, or one half of it, as an ONNX file for any number of records.

    Parameters
    ----------
    chain : Chain
        The model's chain.
    dtype : numpy.dtype
        Dtype of the records, which are the input.
    path : path-like
        The file to write.
    part : "autoencoder", "encoder" or "decoder"
        What to write; see `Autoencoder.export_onnx`.
    force : bool
        Replace an existing file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingPackageError
        If the package onnx is not installed.
    NotDecodableError
        If the decoder is to be written and needs more than the code.
    InvalidParameterError
        If there is no such part.
    OutputExistsError
        If the file exists and ``force`` is not set.
    """
    check("export_onnx", "part", part, Choice(*PARTS))
    check_output(path, force=force)
    if find_spec("onnx") is None:
        raise MissingPackageError(
            "Export to ONNX needs the package onnx. To install it: pip install 'narrows[onnx]'", name="onnx"
        )
    if part != "encoder" and chain.decoder.needs_switches:
        raise NotDecodableError(f"{NEED_SWITCHES} Only the encoder can be exported: part='encoder'.")
    data = _graph(chain, dtype, part)
    return write_atomically(path, lambda file: _write(file, data), force=force)


@usual_settings()
def _graph(chain: Chain, dtype: np.dtype[Any], part: str) -> bytes:
    """Return the ONNX file of a part, computed on the CPU, in the precision of the weights."""
    own = copy.deepcopy(chain).cpu().eval().requires_grad_(False)
    module: nn.Module = _MODULES[part](own).eval()
    given, returned = _NAMES[part]
    examples, names = [_example(own, dtype, part)], [given]
    if own.parts.n_classes:
        examples, names = [*examples, torch.zeros(_N, dtype=torch.int64)], [*names, "labels"]
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder, "model.onnx")
        # The newer exporter takes ten times as long, needs more packages, and fixes the number of records of some
        # networks without saying so.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(examples),
            path,
            dynamo=False,
            input_names=names,
            output_names=[returned],
            dynamic_axes={name: {0: "n"} for name in (*names, returned)},
            opset_version=_OPSET,
        )
        return path.read_bytes()


def _example(chain: Chain, dtype: np.dtype[Any], part: str) -> Tensor:
    """Return an input of a part: records, or codes."""
    if part == "decoder":
        return torch.zeros(_N, int(np.prod(chain.bottleneck.z_shape)), dtype=chain.dtype)
    return torch.zeros(_N, *chain.shape, dtype=getattr(torch, _STAND_INS.get(dtype.name, dtype.name)))


def _write(file: Any, data: bytes) -> None:
    file.write(data)
