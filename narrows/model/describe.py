"""Describes a model as text, from the header of its file and without PyTorch.

A header is the result of `narrows.model.inspection.read_header`, or of `narrows.model.file.describe`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from narrows.io.text import count, shape_text, times

__all__ = ["comparison_text", "describe_chain", "describe_settings", "is_real_valued", "race_text", "values_text"]


def describe_chain(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of a model in order, each with its role.

    Parameters
    ----------
    header : mapping
        The header of the model.

    Returns
    -------
    list of (str, str)
        Role and description, as in ``("bottleneck", "plain, 16 numbers")``; `narrows.evaluation.report.report` draws
        them as boxes.
    """
    parts = header["parts"]
    there, back = _encoder_and_decoder(header)
    n_latent, n_classes = header["n_latent_"], parts.get("n_classes", 0)
    return [
        ("data", f"{shape_text(header['shape'])} {header['dtype']}"),
        *[("preprocessing", _words(part)) for part in parts["preprocessing"]],
        *([("corruption", f"{_words(parts['corruption'])}, in training only")] if parts["corruption"] else []),
        *([("labels", f"{n_classes} classes, inputs of encoder and decoder")] if n_classes else []),
        ("encoder", there),
        ("bottleneck", f"{_words(parts['bottleneck'])}, {count(n_latent, 'number')}"),
        ("decoder", back),
        ("likelihood", _words(parts["likelihood"])),
        *[("penalty", _words(part)) for part in parts["penalties"]],
        *([("adversary", f"{_words(parts['adversary'])}, in training only")] if parts.get("adversary") else []),
        *_pretraining(header["params"].get("pretraining")),
    ]


def is_real_valued(header: Mapping[str, Any]) -> bool | None:
    """Return whether parts for values in [0, 1] were replaced because the training data are real numbers.

    None if the parameter ``real_values`` of the model does not allow this.
    """
    if header["params"].get("real_values") != "standardise":
        return None
    return all(part["name"] != "unit-scale" for part in header["parts"]["preprocessing"])


def values_text(header: Mapping[str, Any]) -> str | None:
    """Return what the values of records were taken for, where that was chosen by the data; otherwise None."""
    is_real = is_real_valued(header)
    if is_real is None:
        return None
    steps = ", ".join(_words(part) for part in header["parts"]["preprocessing"])
    what, why = "levels from 0 to 1", ""
    if is_real:
        what, why = "real numbers", " (--set real_values=as-given if they are levels between two bounds)"
    return f"{what}: {steps}; likelihood {_words(header['parts']['likelihood'])}{why}"


def comparison_text(comparison: Mapping[str, Any]) -> str:
    """Return a sentence on the comparison with PCA on held-out records, and on which of the two was kept.

    Parameters
    ----------
    comparison : mapping
        The fields of a `narrows.model.comparison.Comparison`: the entry ``comparison`` of the header.

    Returns
    -------
    str

    Examples
    --------
    >>> comparison_text({"n_records": 144, "ratio": 0.5, "keeps_network": True})
    '0.5 of its squared error on 144 held-out records'
    >>> print(comparison_text({"n_records": 144, "ratio": 1.0001, "keeps_network": False}).partition(", so")[0])
    equal to its squared error on 144 held-out records: not better by 5 % and two standard errors
    """
    ratio = comparison["ratio"]
    squared = f"its squared error on {comparison['n_records']:,} held-out records"
    if ratio is None:
        held_out = f"no finite ratio to {squared}"
    elif 0.001 <= ratio < 1 and f"{ratio:.3g}" != "1":
        held_out = f"{ratio:.3g} of {squared}"
    else:
        held_out = times(ratio, of=squared)
    if comparison["keeps_network"]:
        return held_out
    is_worse = ratio is None or (ratio > 1 and f"{ratio:.3g}" != "1")
    why = "worse" if is_worse else "not better by 5 % and two standard errors"
    return f"{held_out}: {why}, so a linear autoencoder at the principal components was kept"


def race_text(race: Mapping[str, Any]) -> str:
    """Return a sentence on the codes that a race compared, the expected best first.

    Parameters
    ----------
    race : mapping
        The entry ``race`` of the header: the JSON of a `narrows.model.race.Race`.

    Returns
    -------
    str
    """
    ranked = sorted(race["entrants"], key=lambda one: float(one["expected_cost"]))
    told = [
        f"{one['name']} {one['expected_cost']:.1f} "
        f"({one['bytes_per_record']:.1f} bytes at {one['psnr_db']:.1f} dB so far)"
        for one in ranked
    ]
    steps = f"after {race['n_steps']:,} steps each, on {race['n_records']:,} held-out records"
    return f"expected bytes + λ · error for {race['psnr_db']:g} dB: {'; '.join(told)}; {steps}"


def describe_settings(header: Mapping[str, Any]) -> dict[str, str]:
    """Return every setting of a model as text.

    Parameters
    ----------
    header : mapping
        The header of the model.

    Returns
    -------
    dict of str to str
        Values by the names for `Autoencoder.set_params` and the option ``--set``. If the training has the default
        settings, it is one entry.
    """
    found: dict[str, str] = {}
    for name, value in {**header["params"], **header["parts"]}.items():
        if name == "n_latent":
            value = header["n_latent_"] if value is None else value  # noqa: PLW2901
        _collect(found, name, value)
    ran = f"{len(header['history_'])} ran"
    if found.get("training") == "none":
        found["training"] = f"the defaults (epochs: {ran})"
    if found.get("training__epochs") == "none":
        found["training__epochs"] = f"chosen by the number of records ({ran})"
    return dict(sorted(found.items(), key=lambda item: item[0].split("__")))


def _collect(found: dict[str, str], name: str, value: Any) -> None:
    """Add a setting, and the settings of the parts inside it."""
    if isinstance(value, dict) and "estimator" in value:
        for key, inner in value["params"].items():
            _collect(found, f"{name}__{key}", inner)
    elif isinstance(value, dict) and "axis" in value:
        found[name] = value["name"]
        for key, inner in value.items():
            if key not in {"axis", "name"}:
                _collect(found, f"{name}__{key}", inner)
        if value["name"] == name:
            del found[name]  # there is only one kind of 'training', so its name is omitted
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        names = [one["name"] for one in value]
        if len(set(names)) < len(names):
            found[name] = _value(value)  # two parts of the same name have the same names of options
            return
        found[name] = ", ".join(names)
        for one in value:
            for key, inner in one.items():
                if key not in {"axis", "name"}:
                    _collect(found, f"{name}__{one['name']}__{key}", inner)
    else:
        found[name] = _value(value)


def _encoder_and_decoder(header: Mapping[str, Any]) -> tuple[str, str]:
    """Return a line for the encoder and one for the decoder: the widths if dense, otherwise the name and settings."""
    network = header["parts"]["network"]
    if network["name"] == "custom":
        function = network.get("function")
        halves = (network["encoder"], network["decoder"]) if function is None else ()
        there, back = map(_layer_names, halves) if halves else (function, "by the same function")
        return f"custom: {there}", f"custom: {back}"
    if network["name"] != "dense":
        return _words(network), "its mirror image"
    n_values, n_latent = math.prod(header["shape"]), header["n_latent_"]
    widths = network["widths"]
    back = widths[::-1] if network["decoder_widths"] is None else network["decoder_widths"]
    tied = ", tied" if network["tied"] else ""
    n_classes = header["parts"].get("n_classes", 0)
    label = f"+{n_classes}" if n_classes else ""
    n_h = f"2·{n_latent}" if header["parts"]["bottleneck"]["name"] == "gaussian" else n_latent
    there_text = "-".join(str(width) for width in (f"{n_values}{label}", *widths, n_h))
    back_text = "-".join(str(width) for width in (f"{n_latent}{label}", *back, n_values))
    if network.get("linear_path") and not (widths or back):
        return f"dense {there_text}, the principal components", f"dense {back_text}, their inverse"
    beside = ", with a linear path" if network.get("linear_path") else ""
    return f"dense {there_text}, {network['activation']}{beside}", f"dense {back_text}{tied}{beside}"


def _layer_names(module: Mapping[str, Any]) -> str:
    """Return the names of the layers of a described module."""
    if "layers" in module:
        return ", ".join(map(_layer_names, module["layers"]))
    return str(module["name"]).rpartition(":")[2]


def _pretraining(part: Mapping[str, Any] | str | None) -> list[tuple[str, str]]:
    if part is None:
        return []
    if isinstance(part, str):
        return [("pretraining", part)]
    by_name = {key: value["name"] if isinstance(value, dict) else value for key, value in part.items()}
    return [("pretraining", _words(by_name))]


def _words(part: Mapping[str, Any]) -> str:
    """Return a part as text: its name, and the settings that determine what it computes."""
    said = []
    for key, value in part.items():
        if key in {"axis", "name", "initialisation"} or value is None or value is False or value == "identity":
            continue
        label = key.replace("_", " ")
        said.append(label if value is True else f"{label} {_value(value)}")
    return f"{part['name']} ({', '.join(said)})" if said else str(part["name"])


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _words(value) if "axis" in value else _layer_names(value)
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
