"""The qualities that a model offers for archives, in words, and whether it reached the one that it was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrows.archive.quality import misses_trained_psnr
from narrows.errors import NarrowsWarning
from narrows.io.text import number, psnr_text

if TYPE_CHECKING:
    from narrows.codec.operating_point import OperatingPoint
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["qualities_of", "quality_warnings", "range_text"]


def qualities_of(model: Autoencoder) -> tuple[OperatingPoint, ...]:
    """Return the qualities of a trained model, from coarse to fine; none if it cannot write archives."""
    return model.codec_.qualities if model.codec_error_ is None else ()


def range_text(qualities: tuple[OperatingPoint, ...]) -> str:
    """Return the range of the qualities as text."""
    if not qualities:
        return "none; `narrows info` gives the reason"
    best = max(qualities, key=lambda one: one.psnr_db)
    least = min(qualities, key=lambda one: one.bytes_per_record)
    low, high = (f"{psnr_text(one.psnr_db)} in {number(one.bytes_per_record)}" for one in (least, best))
    more = "" if least is best else f" to {high}"
    return f"{low} bytes a record{more}, on the training data"


def quality_warnings(model: Autoencoder) -> tuple[NarrowsWarning, ...]:
    """Return a warning if the model misses the quality that it was trained for.

    A model with a residual is trained for lossless or bounded archives, for which that is no fault.
    """
    asked = getattr(model.chain_.parts.likelihood, "psnr", None)
    qualities = qualities_of(model)
    if asked is None or not qualities or model.model_.residual_part is not None:
        return ()
    best, default = max(one.psnr_db for one in qualities), model.codec_.qualities[model.codec_.default]
    if misses_trained_psnr(best, asked):
        text = (
            f"The model was trained for {asked:g} dB, but reaches at most {best:.2f} dB on its training data. "
            f"Train for more epochs than {len(model.history_)} (--epochs), or {_larger_code(model)}."
        )
        return (NarrowsWarning(text, kind="psnr"),)
    if misses_trained_psnr(default.psnr_db, asked):
        text = (
            f"The model was trained for {asked:g} dB, but its default quality reaches {default.psnr_db:.2f} dB on its "
            f"training data. `narrows compress --psnr {min(asked, int(best * 100) / 100):g}` chooses a finer quality "
            f"for more bytes. To need fewer, train for more epochs than {len(model.history_)} (--epochs)."
        )
        return (NarrowsWarning(text, kind="psnr"),)
    return ()


def _larger_code(model: Autoencoder) -> str:
    """Return how to train a model with a code twice as large, with the options to type."""
    network = model.chain_.parts.network
    channels = getattr(network, "code_channels", None)
    if channels is None:
        return f"with a larger code than {model.n_latent_} numbers (--latent {2 * model.n_latent_})"
    # The network was chosen by "auto"; its options can be set only if the network is set too.
    usual = type(network)().get_params(deep=False)
    options = {name: value for name, value in network.get_params(deep=False).items() if value != usual[name]}
    options["code_channels"] = 2 * channels
    chosen = [("network", network.name), *((f"network__{name}", _typed(value)) for name, value in options.items())]
    flags = " ".join(f"--set {name}={value}" for name, value in chosen)
    return f"with a larger code than {channels} channels ({flags})"


def _typed(value: Any) -> str:
    """Return an option's value in the syntax of ``--set``."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) + ("," if len(value) == 1 else "")
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
