"""A model as one safetensors file: tensors, and everything else as JSON in the header. Loading executes no code.

The metadata of the safetensors file have one entry ``narrows``, a JSON object. It contains ``format``, the parameters,
the chosen parts, the shape and dtype of the records, what they were treated as, the number of weights, the history, the
epoch whose weights were kept, and ``sha256``, the hash of these entries and of the tensors in the order of their names.
The tensor ``frozen`` is the integer decoder as bytes (`narrows.codec.frozen`); without it, ``not_frozen`` gives the
reason. The tensors ``density.*`` are the arrays of `narrows.model.artefacts.latent_density.LatentDensity`.
The tensors ``columns.*`` are the scales of the columns of a table (`narrows.data.column_scale`).
``unmeasured`` maps the name of each missing artefact to the reason. The tensors ``residual.*`` are the trained network
of residuals, if no codec contains it. JSON cannot represent numbers that are not finite: such a loss becomes null.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from narrows.chain import Chain, Parts
from narrows.data.arrays import check_dtype, check_shape
from narrows.data.column_scale import ColumnScales
from narrows.data.scale import Trained
from narrows.errors import CodeNotImportedError, ModelFileError, StaleWarning, warn
from narrows.io.files import write_atomically
from narrows.io.model_file import FORMAT, HEADER, finite, read_model_file
from narrows.lossless import Residual
from narrows.lossless.contract import ResidualModule
from narrows.model.artefacts import ArchiveCodec, Artefact
from narrows.model.axes import AXES, with_user_parts
from narrows.model.comparison import Comparison
from narrows.model.fitted import FittedModel, Kept, Took, TrainedOn
from narrows.model.race import Race
from narrows.model.weights import weights_digest
from narrows.networks import CustomNetwork
from narrows.numerics.randomness import Stream, generator
from narrows.numerics.shared_memory import apart
from narrows.parts.part import Part, as_optional_part
from narrows.preprocessing import Step
from narrows.records import Columns as OfTable
from narrows.records import Schema, schema_of

__all__ = ["Unbuilt", "describe", "model_without_artefacts", "read_model", "write_model"]

_ARRAYS = "arrays."


@dataclass(frozen=True)
class Unbuilt:
    """The description of an estimator that is a parameter of another estimator.

    Attributes
    ----------
    kind : str
        Kind of the estimator.
    params : dict
        Its parameters.
    """

    kind: str
    params: dict[str, Any]


def write_model(model: FittedModel, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a fitted model atomically.

    Raises
    ------
    OutputExistsError
        If the file exists and ``force`` is not set.
    InvalidParameterError
        If the model contains code of its user that could not be found when the file is read.

    Warns
    -----
    StaleWarning
        If the weights were changed since some artefacts were measured. The file does not contain these artefacts.
    """
    for part in (model.chain.parts.network, model.chain.parts.likelihood, *model.chain.parts.penalties):
        part.check_savable()
    stale = model.stale
    if stale:
        reasons = " ".join(model.why_stale(name) for name in stale)
        text = f"{os.fspath(path)} will not contain all artefacts of the model. {reasons}"
        warn(StaleWarning(text, count=len(stale), first=stale[0]))
        model = model.without(stale)
    tensors = {f"chain.{name}": t.detach().cpu().contiguous() for name, t in model.chain.state_dict().items()}
    arrays = {f"{_ARRAYS}{name}": array for name, array in model.arrays.items()}
    if model.scale.columns is not None:
        arrays |= model.scale.columns.to_tensors()
    for artefact in model.artefacts.values():
        arrays |= artefact.to_tensors()
    tensors |= {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
    if model.residual is not None:
        trained = model.residual.state_dict().items()
        tensors |= {f"residual.{name}": t.detach().cpu().contiguous() for name, t in trained}
    header = finite(describe(model))
    header["sha256"] = _digest(header, tensors)
    data = to_bytes(apart(tensors), {HEADER: json.dumps(header, allow_nan=False)})
    write_atomically(path, lambda file: _write(file, data), force=force)


def read_model(path: str | os.PathLike[str]) -> FittedModel:
    """Return the model in a file, on the CPU.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model, is damaged, or was written by a newer narrows.
    """
    header, tensors = _read(path)
    try:
        return _with_artefacts(model_without_artefacts(header, tensors), header, tensors)
    except CodeNotImportedError as error:
        raise CodeNotImportedError(f"{path} cannot be loaded yet. {error}") from error
    except Exception as error:  # any error that a forged header can cause
        raise ModelFileError(f"{path} is a narrows model with invalid content: {error}") from error


def describe(model: FittedModel) -> dict[str, Any]:
    """Return the contents of a fitted model except its tensors, as JSON values."""
    import narrows

    low, high = model.range
    halves = nn.ModuleList([model.chain.encoder, model.chain.decoder])
    entries = {
        "format": FORMAT,
        "narrows": narrows.__version__,
        "kind": None if model.kind == "autoencoder" else model.kind,
        "params": _settings_to_json(model.parameters),
        "parts": _settings_to_json(vars(model.chain.parts)),
        "shape": list(model.schema.shape),
        "dtype": model.schema.dtype.name,
        "record": model.schema.kind,
        "columns": model.schema.to_json() if isinstance(model.schema, OfTable) else None,
        "n_weights": sum(weight.numel() for weight in halves.parameters()),
        "comparison": None if model.comparison is None else asdict(model.comparison),
        "residual": None if model.residual_part is None else model.residual_part.to_json(),
        "race": None if model.race is None else model.race.to_json(),
        "kept": None if model.kept is None else asdict(model.kept),
        "took": None if model.took is None else asdict(model.took),
        "artefacts": list(model.artefacts),
        "unmeasured": dict(model.unmeasured) or None,
        "magnitude_": model.scale.magnitude,
        "classes_": None if model.classes is None else model.classes.tolist(),
        "pretraining_history_": model.pretraining_history or None,
    }
    names = model.feature_names
    described = {name: value for name, value in entries.items() if value is not None} | {
        "feature_names_in_": None if names is None else [str(name) for name in names],
        "n_features_in_": int(np.prod(model.schema.shape, dtype=np.int64)),
        "n_latent_": model.n_latent,
        "trained_on_": asdict(model.trained_on),
        "range_": [low, high],
        "history_": model.history,
    }
    for artefact in model.artefacts.values():
        described |= artefact.to_json()
    if model.kind != "autoencoder":
        described["not_frozen"] = f"A {model.kind} writes no archives."
    elif ArchiveCodec.name in model.unmeasured:
        described["not_frozen"] = model.why_missing(ArchiveCodec.name)
    return described


def model_without_artefacts(header: dict[str, Any], tensors: dict[str, Tensor]) -> FittedModel:
    """Return the model of a file's header and tensors, without its artefacts."""
    parameters = _settings_from_json(header["params"])
    parts = Parts(**_settings_from_json(header["parts"]))
    shape, dtype = tuple(header["shape"]), np.dtype(header["dtype"])
    check_shape((1, *shape), "Its training data")
    check_dtype(dtype, "Its training data")
    schema = schema_of(header.get("record", "auto"), shape, dtype)
    if isinstance(schema, OfTable):
        schema = schema.with_json(header["columns"])
    classes = np.array(header["classes_"]) if "classes_" in header else None
    if parts.n_classes and (classes is None or len(classes) != parts.n_classes):
        raise ValueError(f"the model has {parts.n_classes} classes, but the file does not contain their labels")
    residual = _residual_part(header, parameters)
    low, high = header["range_"]
    magnitude = header.get("magnitude_")
    chain = _fill(parts, schema, {name[6:]: t for name, t in tensors.items() if name.startswith("chain.")})
    for network in (parts.network, parameters.get("network")):
        if isinstance(network, CustomNetwork):
            network.start_from(chain.encoder, chain.decoder)
    return FittedModel(
        kind=str(header.get("kind", "autoencoder")),
        parameters=parameters,
        chain=chain,
        schema=schema,
        scale=Trained(
            low,
            high,
            dtype,
            None if magnitude is None else float(magnitude),
            parts.fill_value,
            ColumnScales.from_tensors({name: t.numpy() for name, t in tensors.items() if name.startswith("columns.")}),
        ),
        trained_on=TrainedOn(**header["trained_on_"]),
        history=header["history_"],
        pretraining_history=header.get("pretraining_history_", []),
        comparison=Comparison(**header["comparison"]) if "comparison" in header else None,
        kept=Kept(**header["kept"]) if "kept" in header else None,  # older files lack it
        classes=classes,
        feature_names=_names(header["feature_names_in_"]),
        arrays={name[len(_ARRAYS) :]: t.numpy() for name, t in tensors.items() if name.startswith(_ARRAYS)},
        residual=_residual(residual, schema, tensors),
        residual_part=residual,
        race=Race.from_json(header["race"]) if "race" in header else None,
        took=Took(**header["took"]) if header.get("took") else None,
    )


def _with_artefacts(model: FittedModel, header: dict[str, Any], tensors: dict[str, Tensor]) -> FittedModel:
    reasons = {str(name): str(reason) for name, reason in header.get("unmeasured", {}).items()}
    arrays: Mapping[str, NDArray[Any]] = {
        name: t.numpy() for name, t in tensors.items() if not name.startswith(("chain.", "residual.", _ARRAYS))
    }
    found = {
        name: kind.from_file(arrays, header, model)
        for name, kind in Artefact.registry.items()
        if name not in reasons and model.kind == "autoencoder"
    }
    there = {name: artefact for name, artefact in found.items() if artefact is not None}
    depend = [name for name, artefact in there.items() if artefact.depends_on_weights]
    digest = weights_digest(model.chain) if depend else ""  # a file has no artefacts of other weights
    return replace(model, artefacts=there, unmeasured=reasons, measured_with=dict.fromkeys(depend, digest))


def _names(names: list[str] | None) -> NDArray[Any] | None:
    return None if names is None else np.array(names, dtype=object)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    header, arrays = read_model_file(path)
    if "format" not in header:
        raise ModelFileError(f"{path} is a safetensors file, but not a narrows model.")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if header.get("sha256") != _digest(header, tensors):
        raise ModelFileError(
            f"{path} is damaged: the content does not match its checksum. Use another copy of the file."
        )
    return finite(header), tensors


def _fill(parts: Parts, schema: Schema, tensors: dict[str, Tensor]) -> Chain:
    """Return the chain with these tensors; memory is allocated for the tensors in the file only.

    Modules of users may have tensors that are not in the file. They are built again once the shapes are known to be
    right.
    """
    with torch.device("meta"):
        chain = Chain(parts, schema.shape, schema.dtype, generator(0, Stream.WEIGHTS))
    absent = {name: t for name, t in _absent(chain).items() if name not in tensors}
    _load(chain, {**tensors, **absent})
    for name in absent:  # the shapes are right, so they may take memory
        step, _, buffer = name.rpartition(".")
        setattr(chain.get_submodule(step), buffer, chain.get_buffer(name).clone())
    chain.to_channels_last()
    if isinstance(parts.network, CustomNetwork):
        parts.network.materialise()
        whole = Chain(parts, schema.shape, schema.dtype, generator(0, Stream.WEIGHTS)).to(chain.dtype)
        _load(whole, chain.state_dict())
        return whole
    return chain


def _absent(chain: Chain) -> dict[str, Tensor]:
    """Return the statistics that files of earlier versions lack, as tensors without memory of their own."""
    steps = [(name, step) for name, step in chain.named_modules() if isinstance(step, Step)]
    return {
        f"{name}.{buffer}": torch.tensor(value, dtype=torch.float64).expand(step.get_buffer(buffer).shape)
        for name, step in steps
        for buffer, value in step.absent.items()
    }


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load tensors into a module after checking their names, shapes and dtypes."""
    claimed = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if claimed != found:
        different = sorted(name for name in claimed.keys() | found.keys() if claimed.get(name) != found.get(name))
        raise ValueError(
            f"the tensors in the file are not those that the parts of the model need. "
            f"Missing, unexpected or of another shape: {', '.join(different[:5])}"
        )
    module.load_state_dict(tensors, assign=True)


def _residual_part(header: Mapping[str, Any], parameters: Mapping[str, Any]) -> Residual | None:
    """Return the settings of the residual model; in older files they are those of the parameters."""
    if "residual" in header:
        return Residual.from_json(header["residual"])
    asked = parameters.get("residual")
    return None if isinstance(asked, str) and asked == "auto" else as_optional_part(Residual, asked)


def _residual(part: Residual | None, schema: Schema, tensors: dict[str, Tensor]) -> ResidualModule | None:
    """Return the residual model; None if there is none, or if the codec contains it."""
    trained = {name[9:]: t for name, t in tensors.items() if name.startswith("residual.")}
    if not trained or part is None:
        return None
    with torch.device("meta"):
        levels = trained["levels"].flatten().tolist() if "levels" in trained else None
        module = part.build(schema.shape, schema.dtype, generator(0, Stream.LOSSLESS_WEIGHTS), levels)
    _load(module, trained)
    return module


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


def _settings_to_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON values; a fill value only if there is one, as text if it is NaN.

    Without ``verbose``, which says what is shown of a run.
    """
    without = {"fill_value", "verbose"}
    described = {name: _to_json(value) for name, value in with_user_parts(settings).items() if name not in without}
    if not described.get("warm_start", True):  # as in files of earlier versions
        del described["warm_start"]
    fill_value = settings.get("fill_value")
    if fill_value is not None:
        described["fill_value"] = "nan" if math.isnan(fill_value) else float(fill_value)
    return described


def _settings_from_json(described: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: _from_json(value) for name, value in described.items()}
    if "fill_value" in settings:
        settings["fill_value"] = float(settings["fill_value"])
    return settings


def _to_json(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_json()
    if hasattr(value, "get_params"):
        return {"estimator": value.kind, "params": _settings_to_json(value.get_params(deep=False))}
    if isinstance(value, (list, tuple)):
        return [_to_json(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    # A generator cannot be stored; the seed drawn from it is in 'trained_on_'.
    return value if value is None or isinstance(value, (str, int, float)) else None


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(one) for one in value)
    if not isinstance(value, dict):
        return value
    if "estimator" in value:
        return Unbuilt(str(value["estimator"]), _settings_from_json(value["params"]))
    return AXES[value["axis"]].from_json(value)
