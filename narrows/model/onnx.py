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
from narrows.errors import MissingPackageError, NotDecodableError, NotExportableError
from narrows.io.files import check_output, write_atomically
from narrows.model.halves import DecoderHalf, EncoderHalf, Reconstruction
from narrows.model.onnx_parts import PARTS
from narrows.networks.pooling import NEED_SWITCHES
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Choice, check

__all__ = ["export_onnx"]

_MODULES = {"autoencoder": Reconstruction, "encoder": EncoderHalf, "decoder": DecoderHalf}
_OPSET = 17  # of 2022; the models need no newer operation
_N, _OTHER_N = 2, 3  # records of the example that is traced, and of the one that checks the file
_SILENT = 4  # the log level of ONNX Runtime at which it prints nothing: its errors are raised too
_REFUSED = (
    "The {part} cannot be written as an ONNX file. It has an operation that ONNX files lack or that depends on the "
    "number of records. Export another part, or change the network."
)
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
    NotExportableError
        If the model, for example a network of the user's, has operations that ONNX files lack, or is written for one
        number of records only.
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
    _check(data, part)
    return write_atomically(path, lambda file: _write(file, data), force=force)


@usual_settings()
def _graph(chain: Chain, dtype: np.dtype[Any], part: str) -> bytes:
    """Return the ONNX file of a part, computed on the CPU, in the precision of the weights."""
    own = copy.deepcopy(chain).cpu().eval().requires_grad_(False)
    module: nn.Module = _MODULES[part](own).eval()
    given, returned = PARTS[part]
    examples, names = [_example(own, dtype, part)], [given]
    if own.parts.n_classes:
        examples, names = [*examples, torch.zeros(_N, dtype=torch.int64)], [*names, "labels"]
    with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder, "model.onnx")
        # The newer exporter takes ten times as long, needs more packages, and fixes the number of records of some
        # networks without saying so.
        warnings.simplefilter("ignore")
        try:
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
        except Exception as error:  # of many kinds, also of code of the user's
            raise NotExportableError(f"{_REFUSED.format(part=part)} {str(error).strip()}") from error
        return path.read_bytes()


def _check(data: bytes, part: str) -> None:
    """Refuse an ONNX file that is not valid, or that ONNX Runtime, if it is installed, does not compute for 3 records.

    Raises
    ------
    NotExportableError
        If it is refused.
    """
    import onnx

    try:
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        if find_spec("onnxruntime") is not None:
            _compute(data, model)
    except Exception as error:  # of many kinds
        raise NotExportableError(f"{_REFUSED.format(part=part)} {str(error).strip()}") from error


def _compute(data: bytes, model: Any) -> None:
    """Compute an ONNX file for other records than those of the example, so that no number of records is fixed."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs = {}
    for one in model.graph.input:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
        shape = [_OTHER_N, *(axis.dim_value for axis in one.type.tensor_type.shape.dim[1:])]
        inputs[one.name] = np.zeros(shape, dtype)
    (output,) = session.run(None, inputs)
    if len(output) != _OTHER_N:
        raise ValueError(f"For {_OTHER_N} records it returns {len(output)}.")


def _example(chain: Chain, dtype: np.dtype[Any], part: str) -> Tensor:
    """Return an input of a part: records, or codes."""
    if part == "decoder":
        return torch.zeros(_N, int(np.prod(chain.bottleneck.z_shape)), dtype=chain.dtype)
    return torch.zeros(_N, *chain.shape, dtype=getattr(torch, _STAND_INS.get(dtype.name, dtype.name)))


def _write(file: Any, data: bytes) -> None:
    file.write(data)
