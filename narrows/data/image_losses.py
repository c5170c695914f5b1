"""What is lost when images are read as records, in one warning for each kind of loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from narrows.errors import DataError, DataWarning, InvalidParameterError, UnknownNameError

__all__ = ["LOSSES", "accepted_losses", "accepts_nothing", "check_lossless", "loss_warnings"]

LOSSES = {
    "frames": ("{} more than one frame or picture", "only the first of them is read"),
    "cmyk": ("{} the colours of inks or of Lab", "they are converted to RGB, and the fourth channel of CMYK is lost"),
    "depth": ("{} more bits in a channel than are read", "the upper 8 bits are read, and the others are lost"),
    "alpha": ("", ""),
    "precision": ("", ""),
}
"""For each kind of loss what the images have, and what becomes of it; "precision" is lost in data frames."""


def loss_warnings(name: str, lost: Mapping[str, Sequence[str]], n: int) -> tuple[DataWarning, ...]:
    """Return a warning for each kind of loss.

    Parameters
    ----------
    name : str
        Name of the data.
    lost : mapping
        For each kind of loss the files that it concerns.
    n : int
        Number of images.
    """
    found = []
    for kind, (what, becomes) in LOSSES.items():
        files = lost.get(kind, ())
        if not files:
            continue
        who = name if n == 1 else f"{len(files):,} of {n:,} images in {name} (the first is {files[0]})"
        if kind == "alpha":
            text = f"{who} {'has' if n == 1 else 'have'} transparent pixels. "
            text += "They were blended with white, since records cannot store transparency."
        else:
            text = f"{what.format(f'{who} ' + ('has' if n == 1 else 'have'))}: {becomes}."
        found.append(DataWarning(text, kind=kind, count=len(files), first=files[0]))
    return tuple(found)


def accepted_losses(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return kinds of loss that were given by name.

    Raises
    ------
    UnknownNameError
        If there is no such kind of loss.

    Examples
    --------
    >>> accepted_losses("alpha"), accepted_losses(["frames", "cmyk"])
    (('alpha',), ('frames', 'cmyk'))
    """
    kinds = (given,) if isinstance(given, str) else tuple(given)
    for kind in kinds:
        if kind not in LOSSES:
            raise UnknownNameError("kind of loss", str(kind), LOSSES)
    return kinds


def accepts_nothing() -> InvalidParameterError:
    """Return the error on accepted losses for an archive that is not lossless."""
    return InvalidParameterError("The 'accept_loss' is for lossless archives (lossless, --lossless). Leave it out.")


def check_lossless(name: str, warnings: Iterable[DataWarning], accepted: Sequence[str] = ()) -> None:
    """Refuse data for a lossless archive that were not read unchanged.

    Parameters
    ----------
    name : str
        Name of the data.
    warnings : iterable of DataWarning
        What was lost when they were read.
    accepted : sequence of str
        Kinds of loss that are accepted.

    Raises
    ------
    DataError
        If there is another loss; names the option that accepts it.
    """
    lost = [one for one in warnings if one.kind in LOSSES and one.kind not in accepted]
    if not lost:
        return
    kinds = [kind for kind in LOSSES if kind in accepted or kind in {one.kind for one in lost}]
    raise DataError(
        f"{name} cannot be restored losslessly: something was lost when it was read. {' '.join(map(str, lost))} "
        f"Accept this with --accept-loss {','.join(kinds)} (in Python: accept_loss={tuple(kinds)!r}), "
        "or convert or leave out these files."
    )
