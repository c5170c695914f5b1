"""A model as one safetensors file: tensors, and everything else as JSON in the header. Loading executes no code.

The header's metadata hold ``narrows``, a JSON object: ``format``, the parameters, the parts that were chosen, the
records' shape and dtype, what they were taken for, the number of weights, the history, which epoch was kept, and
``sha256`` of all that and the tensors, in the order of their names. The tensor ``frozen`` is the integer decoder as
bytes (`narrows.codec.frozen`), or ``not_frozen`` says why there is none. The tensors ``density.*`` are the arrays of
`narrows.model.artefacts.latent_density.CodeDensity`. Of what could not be measured, ``unmeasured`` says why, by its
name in `narrows.model.artefacts.measuring`; without a codec the tensors ``residual.*`` are the trained network of
residuals. JSON has no numbers that are not finite; where a loss is none, there is null.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from narrows.bottlenecks import Bottleneck
from narrows.chain import Chain, Parts
from narrows.corruptions import Corruption
from narrows.data.arrays import check_dtype, check_shape
from narrows.errors import DataNotFoundError, ModelFileError
from narrows.estimators.fitting import Kept
from narrows.estimators.parameters import device_of, record_of, residual_of, training_of
from narrows.estimators.selection import Comparison
from narrows.io.files import write_atomically
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.lossless.contract import ResidualModule
from narrows.model.artefacts.archive_codec import IntegerHalf
from narrows.model.artefacts.latent_density import CodeDensity
from narrows.model.artefacts.measuring import codec_error
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.networks import Network
from narrows.numerics.randomness import Stream, generator
from narrows.parts.part import Part
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing
from narrows.training import Training
from narrows.training.pretraining import Pretraining

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["describe", "load", "save"]

FORMAT = 1
_OLD = "The model was saved before models had integer decoders. Train it again."
_LEARNED = ("n_features_in_", "n_latent_", "trained_on_", "range_", "history_")


def save(model: Autoencoder, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a fitted model; whole or not at all.

    Raises
    ------
    OutputExistsError
        If the file exists and ``force`` is not set.
    """
    tensors = {f"chain.{name}": t.detach().cpu().contiguous() for name, t in model.chain_.state_dict().items()}
    if model.pca_ is not None:
        tensors |= {
            "pca.mean": torch.from_numpy(model.pca_.mean),
            "pca.components": torch.from_numpy(np.ascontiguousarray(model.pca_.components)),
        }
        if model.pca_.scale is not None:
            tensors["pca.scale"] = torch.from_numpy(model.pca_.scale)
    if model.density_ is not None:
        arrays = model.density_.to_arrays()
        tensors |= {f"density.{name}": torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays}
    if model.residual_ is not None:
        trained = model.residual_.state_dict().items()
        tensors |= {f"residual.{name}": t.detach().cpu().contiguous() for name, t in trained}
    if codec_error(model) is None:
        tensors["frozen"] = torch.frombuffer(bytearray(model.frozen_.blob), dtype=torch.uint8)
    header = _finite(describe(model))
    header["sha256"] = _digest(header, tensors)
    data = to_bytes(tensors, {"narrows": json.dumps(header, allow_nan=False)})
    write_atomically(path, lambda file: _write(file, data), force=force)


def load(path: str | os.PathLike[str], *, device: str = "auto") -> Autoencoder:
    """Return the model in a file.

    Parameters
    ----------
    path : path-like
        As `save` wrote it.
    device : "auto", "cpu" or "cuda"
        Where it is to work.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is no model, is damaged, or was written by a newer narrows.
    """
    from narrows.estimators.autoencoder import Autoencoder

    header, tensors = _read(path)
    try:
        model = Autoencoder(**{name: _from_json(value) for name, value in header["params"].items()})
        training = training_of(model.training)
        parts = Parts(**{name: _from_json(value) for name, value in header["parts"].items()})
        shape, dtype = tuple(header["shape"]), np.dtype(header["dtype"])
        check_shape((1, *shape), "What it was trained on")
        check_dtype(dtype, "What it was trained on")
        chain = _fill(parts, shape, dtype, {name[6:]: t for name, t in tensors.items() if name.startswith("chain.")})
        for name in _LEARNED:
            setattr(model, name, header[name])
        model.pretraining_history_ = header.get("pretraining_history_", [])
        model.magnitude_ = None if header.get("magnitude_") is None else float(header["magnitude_"])
        if header["feature_names_in_"] is not None:
            model.feature_names_in_ = np.array(header["feature_names_in_"], dtype=object)
        if "classes_" in header:
            model.classes_ = np.array(header["classes_"])
        if len(getattr(model, "classes_", ())) != parts.n_classes:
            raise ValueError(f"it has labels of {parts.n_classes} classes, but not their names")
        model.comparison_ = Comparison(**header["comparison"]) if "comparison" in header else None
        # Older files lack the next two.
        model.kept_ = Kept(**header["kept"]) if "kept" in header else None
        model.record_ = record_of(header.get("record", "auto"), shape)
        model.shape_, model.dtype_, model.range_ = shape, dtype, tuple(header["range_"])
        reasons = model.unmeasured_ = {str(name): str(reason) for name, reason in header.get("unmeasured", {}).items()}
        frozen = tensors["frozen"].numpy().tobytes() if "frozen" in tensors else str(header.get("not_frozen", _OLD))
        model.integer_half_ = None if "codec" in reasons else IntegerHalf(frozen)
        model.pca_ = None if "pca" in reasons else _pca(tensors)
        model.density_ = _density(tensors, math.prod(chain.bottleneck.z_shape))
        model.residual_ = _residual(model, tensors)
    except Exception as error:  # whatever a header that lies leads to
        raise ModelFileError(f"{path} is a narrows model that cannot be rebuilt: {error}") from error
    if device != "auto" or model.training is not None:
        model.training = training.set_params(device=device)
    model.chain_ = chain.to(device_of(model.training)).eval()
    if model.residual_ is not None:
        model.residual_.to(device_of(model.training))
    return model


def describe(model: Autoencoder) -> dict[str, Any]:
    """Return everything about a fitted model but its tensors, as plain JSON values."""
    import narrows

    why_not = codec_error(model)
    names = getattr(model, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "narrows": narrows.__version__,
        "params": {name: _to_json(value) for name, value in model.get_params(deep=False).items()},
        "parts": {name: _to_json(value) for name, value in vars(model.chain_.parts).items()},
        "shape": list(model.shape_),
        "dtype": model.dtype_.name,
        "record": model.record_,
        "n_weights": sum(p.numel() for p in nn.ModuleList([model.encoder_, model.decoder_]).parameters()),
        "feature_names_in_": None if names is None else [str(name) for name in names],
        **({} if model.comparison_ is None else {"comparison": asdict(model.comparison_)}),
        **({} if model.kept_ is None else {"kept": asdict(model.kept_)}),
        **({} if why_not is None else {"not_frozen": why_not}),
        **({"unmeasured": model.unmeasured_} if model.unmeasured_ else {}),
        **{name: getattr(model, name) for name in _LEARNED},
        **({} if model.magnitude_ is None else {"magnitude_": model.magnitude_}),
        **({"classes_": model.classes_.tolist()} if model.chain_.parts.n_classes else {}),
        **({"pretraining_history_": model.pretraining_history_} if model.pretraining_history_ else {}),
    }


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not os.path.isfile(path):
        raise DataNotFoundError(f"There is no model file {os.fspath(path)}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["narrows"])
            if header["format"] > FORMAT:
                raise ModelFileError(
                    f"{path} has model format {header['format']}, written by narrows {header.get('narrows')}. "
                    f"This narrows reads up to format {FORMAT}: upgrade it."
                )
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        is_whole = header.get("sha256") == _digest(header, tensors)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is no safetensors file, or is damaged: {error}.") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is a safetensors file, but no narrows model.") from error
    if not is_whole:
        raise ModelFileError(f"{path} is damaged: its content does not have the checksum that was written with it.")
    return _finite(header), tensors


def _fill(parts: Parts, shape: tuple[int, ...], dtype: np.dtype[Any], tensors: dict[str, Tensor]) -> Chain:
    """Return the chain with these tensors; memory is taken for what is in the file, whatever the header claims."""
    with torch.device("meta"):
        chain = Chain(parts, shape, dtype, generator(0, Stream.WEIGHTS))
    _load(chain, tensors)
    chain.lay_out()
    return chain


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module these tensors, if they are those that it should have."""
    claimed = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if claimed != found:
        different = sorted(name for name in claimed.keys() | found.keys() if claimed.get(name) != found.get(name))
        raise ValueError(f"its tensors are not those of its parts: {', '.join(different[:5])}")
    module.load_state_dict(tensors, assign=True)


def _residual(model: Autoencoder, tensors: dict[str, Tensor]) -> ResidualModule | None:
    """Return the network of residuals; None where there is none, or where the codec has it."""
    trained = {name[9:]: t for name, t in tensors.items() if name.startswith("residual.")}
    part = residual_of(model.residual)
    if not trained or part is None:
        return None
    with torch.device("meta"):
        module = part.build(model.shape_, model.dtype_, generator(0, Stream.LOSSLESS_WEIGHTS))
    _load(module, trained)
    return module


def _pca(tensors: dict[str, Tensor]) -> PrincipalComponents:
    scale = tensors["pca.scale"].numpy() if "pca.scale" in tensors else None
    return PrincipalComponents(tensors["pca.mean"].numpy(), tensors["pca.components"].numpy(), scale)


def _density(tensors: dict[str, Tensor], n_latent: int) -> CodeDensity | None:
    """Return the density of codes; None in models that were saved before there were such."""
    arrays = {name[8:]: t.numpy() for name, t in tensors.items() if name.startswith("density.")}
    if not arrays:
        return None
    density = CodeDensity.from_arrays(arrays)
    if len(density.centre) != n_latent:
        raise ValueError(f"its density is one of {len(density.centre)} numbers, its codes have {n_latent}")
    return density


def _finite(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header with None for each number that is not finite; older files have such numbers."""
    finite: dict[str, Any] = json.loads(json.dumps(header), parse_constant=lambda name: None)
    return finite


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    described = {key: value for key, value in header.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write(file: Any, data: bytes) -> None:
    file.write(data)


_AXES: dict[str, type[Part]] = {
    axis.axis: axis
    for axis in (Network, Bottleneck, Likelihood, Corruption, Penalty, Preprocessing, Pretraining, Residual, Training)
}


def _to_json(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [_to_json(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    # A generator cannot be written down; the seed that came out of it is in 'trained_on_'.
    return value if value is None or isinstance(value, (str, int, float)) else None


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(one) for one in value)
    if not isinstance(value, dict):
        return value
    return _AXES[value["axis"]].from_json(value)
