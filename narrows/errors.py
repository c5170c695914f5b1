"""Everything narrows raises on purpose, in one tree.

::

    NarrowsError
    ├── InvalidParameterError (ValueError)       a setting that cannot be: negative size, corruption above 1
    │   ├── NotMeasuredError                     a model without the PCA, density or codec that this needs, and why
    │   └── UnknownNameError                     no recipe, part, option or data set of that name; suggests the nearest
    ├── DataError (ValueError)                   data that cannot be used as they are
    │   ├── DataNotFoundError (FileNotFoundError)    nothing is there
    │   ├── CorruptFileError                         a file that is damaged or cut off, named
    │   ├── NonFiniteDataError                       NaN or infinity, and where
    │   └── ShapeMismatchError                       records of another shape than the model's, both named
    ├── DownloadError (OSError)                  a named data set that cannot be had, and where to put its files
    ├── ModelFileError                           a file that is no model, is damaged, or comes from a newer narrows
    ├── MissingPackageError (ImportError)        a package that only this needs is not installed, and how to install it
    ├── NotFreezableError                        a decoder that cannot be turned into integer arithmetic, and why
    ├── NotDecodableError                        codes of a model whose decoder needs more of a record than its code
    ├── ArchiveError                             an archive that cannot be used: no archive, or from a newer narrows
    │   ├── CorruptArchiveError                      damaged, cut off, or made to deceive; says where
    │   └── WrongModelError                          made with another model; names both by their hashes
    ├── OutputExistsError (FileExistsError)      nothing is overwritten unasked
    ├── OutputError (OSError)                    an output that cannot be written, and why: a full disk, no permission
    └── TrainingDivergedError (ArithmeticError)  the loss stopped being finite: epoch, step, learning rate

and warnings::

    UserWarning
    ├── RangeWarning                             records on another scale than a model's training data: floats from 0
    │                                            to 1 where those were bytes
    ├── UnmeasuredWarning                        training is done, but an artefact of the model could not be measured
    └── WorseThanPCAWarning                      a model restores records worse than principal components do
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable

__all__ = [
    "ArchiveError",
    "CorruptArchiveError",
    "CorruptFileError",
    "DataError",
    "DataNotFoundError",
    "DownloadError",
    "InvalidParameterError",
    "MissingPackageError",
    "ModelFileError",
    "NarrowsError",
    "NonFiniteDataError",
    "NotDecodableError",
    "NotFreezableError",
    "NotMeasuredError",
    "OutputError",
    "OutputExistsError",
    "RangeWarning",
    "ShapeMismatchError",
    "TrainingDivergedError",
    "UnknownNameError",
    "UnmeasuredWarning",
    "WorseThanPCAWarning",
    "WrongModelError",
    "levels_to_caller",
]


class NarrowsError(Exception):
    """The root of every error that narrows raises on purpose."""


class InvalidParameterError(NarrowsError, ValueError):
    """A setting has a value that it cannot have."""


class UnknownNameError(InvalidParameterError):
    """No recipe, part, option or data set has this name.

    Parameters
    ----------
    what : str
        The kind of thing that was looked for, as in ``"recipe"``.
    name : str
        The name that was given.
    known : iterable of str
        The names there are. The nearest one is suggested.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        super().__init__(what, name, self.known)

    def __str__(self) -> str:
        lowered = {known.lower(): known for known in self.known}
        nearest = [lowered[found] for found in difflib.get_close_matches(self.name.lower(), lowered, n=1, cutoff=0.5)]
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        return f"There is no {self.what} '{self.name}'.{hint} There are: {', '.join(self.known)}."


class NotMeasuredError(InvalidParameterError):
    """The model lacks an artefact that this needs; the message says which, why, and how to get it."""


class UnmeasuredWarning(UserWarning):
    """An artefact of a trained model could not be measured; the message says why, and how to measure it later."""


class DataError(NarrowsError, ValueError):
    """The data cannot be used as they are."""


class DataNotFoundError(DataError, FileNotFoundError):
    """The path does not exist, or holds nothing that can be read."""


class CorruptFileError(DataError):
    """A file is damaged or cut off; the message names it."""


class NonFiniteDataError(DataError):
    """The data hold NaN or infinity; the message says where."""


class ShapeMismatchError(DataError):
    """The records have another shape than the model's; the message names both."""


class DownloadError(NarrowsError, OSError):
    """A named data set could not be downloaded; the message says where to put which files."""


class ModelFileError(NarrowsError):
    """The file is no narrows model, is damaged, or was written by a newer version."""


class MissingPackageError(NarrowsError, ImportError):
    """A package that only this needs is not installed; the message says how to install it."""


class NotFreezableError(NarrowsError):
    """The decoder cannot be turned into integer arithmetic; the message says which part stands in the way."""


class NotDecodableError(NarrowsError):
    """The model's code alone cannot be decoded; the message says what else its decoder needs."""


class ArchiveError(NarrowsError):
    """The file is no archive that this narrows can use."""


class CorruptArchiveError(ArchiveError):
    """An archive is damaged, cut off, or lies about itself; the message says where."""


class WrongModelError(ArchiveError):
    """The archive was made with another model; the message names both by their hashes."""


class OutputExistsError(NarrowsError, FileExistsError):
    """The output is already there, and overwriting was not asked for."""


class OutputError(NarrowsError, OSError):
    """An output cannot be written; the message names it and says what the operating system said."""


class TrainingDivergedError(NarrowsError, ArithmeticError):
    """The loss stopped being finite; the message names epoch, step and learning rate."""


class WorseThanPCAWarning(UserWarning):
    """A model restores records worse than principal components do, with a code of the same length."""


class RangeWarning(UserWarning):
    """Records lie in another range than the model's training data, by an order of magnitude; the message names both."""


def levels_to_caller() -> int:
    """Return how far up whoever called narrows is, for warnings: scikit-learn may stand in between."""
    level, frame = 1, inspect.currentframe()
    frame = None if frame is None else frame.f_back
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in {"narrows", "sklearn"}:
        level, frame = level + 1, frame.f_back
    return level
