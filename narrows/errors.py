"""The errors and warnings of narrows, in one tree.

::

    NarrowsError
    ├── InvalidParameterError (ValueError)       a parameter has a value that is not allowed
    │   ├── NotMeasuredError                     the model lacks a needed artefact; gives the reason
    │   └── UnknownNameError                     unknown recipe, part, option or data set; suggests the nearest name
    │       └── UnknownParameterError (TypeError)    unknown parameter of an estimator
    ├── DataError (ValueError)                   the data cannot be used
    │   ├── DataNotFoundError (FileNotFoundError)    the path does not exist
    │   ├── CorruptFileError                         a file is damaged or truncated
    │   ├── NonFiniteDataError                       the data contain NaN or infinity; gives the position
    │   └── ShapeMismatchError                       the records and the model have different shapes
    ├── DownloadError (OSError)                  a named data set cannot be downloaded; says where to put its files
    ├── ModelFileError                           a file is not a model, is damaged, or was written by a newer version
    │   └── CodeNotImportedError                     the model uses code of its user; names the module to import first
    ├── MissingPackageError (ImportError)        an optional package is not installed; says how to install it
    ├── NotFreezableError                        the decoder cannot be converted to integer arithmetic; gives the reason
    ├── NotExportableError                       an ONNX file cannot compute the model; gives the reason
    ├── NotDecodableError                        the decoder needs more inputs than the code
    ├── ArchiveError                             a file is not an archive, or was written by a newer version
    │   ├── CorruptArchiveError                      an archive is damaged, truncated or forged; gives the position
    │   └── WrongModelError                          the archive was made with another model; gives both hashes
    ├── OutputExistsError (FileExistsError)      the output exists already
    ├── OutputError (OSError)                    an output cannot be written: a full disk, no permission
    ├── TrainingCollapsedError                   one side of an adversarial training has collapsed; says which
    └── TrainingDivergedError (ArithmeticError)  the loss became NaN or infinite; gives epoch, step and learning rate

The warnings::

    NarrowsWarning (UserWarning)
    ├── CollapsedWarning                         a model encodes all records alike
    ├── DataWarning                              the data or a file need attention; `kind` names the cause
    ├── FreezeWarning                            a model that is about to be trained will write no archives
    ├── RangeWarning                             the scale of the records differs from that of the training data,
    │                                            for example floats in [0, 1] and bytes
    ├── StaleWarning                             the weights were changed since an artefact was measured
    ├── UnfinishedWarning                        a model was not trained to the end
    ├── UnmeasuredWarning                        an artefact of a trained model could not be measured
    └── WorseThanPCAWarning                      a model has a larger error than PCA

A warning has a message for people, and for programs its kind, how many things it concerns, and the first of these. All
warnings are raised by `warn`, which also logs them under the logger ``narrows``. `recorded` collects those of a block
of code, whatever Python's warning filters show.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, TypedDict
from weakref import WeakKeyDictionary

__all__ = [
    "LOSS_KINDS",
    "ArchiveError",
    "CodeNotImportedError",
    "CollapsedWarning",
    "CorruptArchiveError",
    "CorruptFileError",
    "DataError",
    "DataNotFoundError",
    "DataWarning",
    "DownloadError",
    "FreezeWarning",
    "InvalidParameterError",
    "MissingPackageError",
    "ModelFileError",
    "NarrowsError",
    "NarrowsWarning",
    "NonFiniteDataError",
    "NotDecodableError",
    "NotExportableError",
    "NotFreezableError",
    "NotMeasuredError",
    "OutputError",
    "OutputExistsError",
    "RangeWarning",
    "ShapeMismatchError",
    "StaleWarning",
    "TrainingCollapsedError",
    "TrainingDivergedError",
    "UnfinishedWarning",
    "UnknownNameError",
    "UnknownParameterError",
    "UnmeasuredWarning",
    "Warned",
    "WorseThanPCAWarning",
    "WrongModelError",
    "recorded",
    "warn",
]


class NarrowsError(Exception):
    """The base class of all errors of narrows."""


class InvalidParameterError(NarrowsError, ValueError):
    """A setting has a value that is not allowed."""


class UnknownNameError(InvalidParameterError):
    """A name of a recipe, part, option or data set is unknown.

    Parameters
    ----------
    what : str
        The kind of object, for example ``"recipe"``.
    name : str
        The name that was given.
    known : iterable of str
        The available names. The message suggests the nearest one.
    hint : str
        A suggestion instead of the nearest name.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.what, self.name, self.known, self.hint = what, name, sorted(known), hint
        super().__init__(what, name, self.known, hint)

    def __str__(self) -> str:
        if self.hint:
            return f"Unknown {self.what}: '{self.name}'. {self.hint} Choose one of: {', '.join(self.known)}."
        lowered = {known.lower(): known for known in self.known}
        nearest = [lowered[found] for found in difflib.get_close_matches(self.name.lower(), lowered, n=1, cutoff=0.5)]
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        return f"Unknown {self.what}: '{self.name}'.{hint} Choose one of: {', '.join(self.known)}."


class UnknownParameterError(UnknownNameError, TypeError):
    """An estimator has no such parameter. It is a TypeError too, as for other unknown arguments in Python."""


class NotMeasuredError(InvalidParameterError):
    """The model lacks a needed artefact; the message gives its name, the reason, and how to measure it."""


class DataError(NarrowsError, ValueError):
    """The data cannot be used."""


class DataNotFoundError(DataError, FileNotFoundError):
    """The path does not exist, or contains no readable data."""


class CorruptFileError(DataError):
    """A file is damaged or truncated; the message names it."""


class NonFiniteDataError(DataError):
    """The data contain NaN or infinity; the message gives the position."""


class ShapeMismatchError(DataError):
    """The records do not have the shape of the training records; the message gives both shapes."""


class DownloadError(NarrowsError, OSError):
    """A named data set could not be downloaded; the message says where to put which files."""


class ModelFileError(NarrowsError):
    """The file is not a narrows model, is damaged, or was written by a newer version."""


class CodeNotImportedError(ModelFileError):
    """The model uses functions or classes of its user that are not registered; the message names them."""


class MissingPackageError(NarrowsError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class NotFreezableError(NarrowsError):
    """The decoder cannot be converted to integer arithmetic; the message names the part that prevents it."""


class NotExportableError(NarrowsError):
    """An ONNX file cannot compute the model; the message gives the reason."""


class NotDecodableError(NarrowsError):
    """The decoder needs more inputs than the code; the message names them."""


class ArchiveError(NarrowsError):
    """The file is not an archive that this version of narrows can read."""


class CorruptArchiveError(ArchiveError):
    """An archive is damaged, truncated or forged; the message gives the position."""


class WrongModelError(ArchiveError):
    """The archive was made with another model; the message gives both hashes."""


class OutputExistsError(NarrowsError, FileExistsError):
    """The output exists already, and overwriting was not requested."""


class OutputError(NarrowsError, OSError):
    """An output cannot be written; the message names it and gives the reason of the operating system."""


class TrainingCollapsedError(NarrowsError):
    """One side of an adversarial training has collapsed; the message says which, when, and what to change."""


class TrainingDivergedError(NarrowsError, ArithmeticError):
    """The loss became NaN or infinite; the message gives epoch, step and learning rate."""


class Warned(TypedDict):
    """A warning in a summary, and in the JSON output of the command line."""

    kind: str
    count: int
    first: str | int | None
    message: str


class NarrowsWarning(UserWarning):
    """The base class of all warnings of narrows.

    Parameters
    ----------
    message : str
        Sentences for people.
    kind : str, optional
        Short name of what is warned of, for programs: ``"frames"``, ``"range"``. By default that of the class.
    count : int
        How many files, records, columns or values the warning concerns.
    first : str or int, optional
        The first of them: the name of a file or a column, or the index of a record.

    Examples
    --------
    >>> DataWarning("a.gif has 3 frames.", kind="frames", first="a.gif").to_json()
    {'kind': 'frames', 'count': 1, 'first': 'a.gif', 'message': 'a.gif has 3 frames.'}
    """

    default_kind: ClassVar[str] = "warning"

    def __init__(self, message: str, *, kind: str | None = None, count: int = 1, first: str | int | None = None):
        super().__init__(message)
        self.kind, self.count, self.first = kind or self.default_kind, count, first

    def to_json(self) -> Warned:
        """Return the warning as JSON values."""
        return {"kind": self.kind, "count": self.count, "first": self.first, "message": str(self)}


class DataWarning(NarrowsWarning):
    """The data or a file need attention; `kind` names the cause."""

    default_kind = "data"


class CollapsedWarning(NarrowsWarning):
    """The code or the output of a model is the same for all records."""

    default_kind = "collapsed"


class FreezeWarning(NarrowsWarning):
    """A model is too large to be frozen, so it will write no archives; the message gives the width that would do."""

    default_kind = "too-large-to-freeze"


class RangeWarning(NarrowsWarning):
    """Records or columns have another order of magnitude than the training data; ``count`` is that of the columns."""

    default_kind = "range"


class StaleWarning(NarrowsWarning):
    """The weights of a model were changed since artefacts were measured; the message names `refreeze`."""

    default_kind = "stale"


class UnfinishedWarning(NarrowsWarning):
    """The training of a model was interrupted; the message gives its weights, and how to continue."""

    default_kind = "unfinished"


class UnmeasuredWarning(NarrowsWarning):
    """An artefact could not be measured; the message gives the reason and how to measure the artefact later."""

    default_kind = "unmeasured"


class WorseThanPCAWarning(NarrowsWarning):
    """The squared error of a model is larger than that of PCA with a code of the same length."""

    default_kind = "worse-than-pca"


LOSS_KINDS = frozenset(
    {
        *("alpha", "cmyk", "depth", "frames", "precision"),  # lost when images and data frames are read
        *("hidden", "no-file", "passed-over"),  # files of a folder that are not read
        *("columns", "damaged-end", "fill-value", "lost-records", "unfinished-append"),  # lost in an archive
        *("psnr", "unlike"),  # records that are restored worse than was asked for or can be expected
    }
)
"""The kinds of warnings that tell of lost data or lost quality. The command line shows them even with ``--quiet``."""

Listener = Callable[[NarrowsWarning], None]


def _log(warning: NarrowsWarning) -> None:
    logging.getLogger("narrows").warning("%s", warning)


_LISTENERS: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=(_log,))


def warn(warning: NarrowsWarning) -> None:
    """Raise a warning by `warnings.warn`, at the line that called narrows, and pass it to the enclosing listeners.

    A search of scikit-learn, which fits many models, shows only the first warning of each kind.
    """
    for listener in _LISTENERS.get():
        listener(warning)
    shown = _shown_in_search()
    if warning.kind not in shown:
        warnings.warn(warning, stacklevel=_levels_to_caller())
        shown.add(warning.kind)


@contextmanager
def recorded(*, held: bool = False, listener: Listener | None = None) -> Iterator[list[NarrowsWarning]]:
    """Collect the warnings of narrows that the block raises, whether or not Python shows them.

    Parameters
    ----------
    held : bool
        Keep them from everybody else: they are neither shown nor passed to enclosing blocks.
    listener : callable, optional
        Called with each warning.

    Yields
    ------
    list of NarrowsWarning
        The warnings so far.
    """
    found: list[NarrowsWarning] = []
    ours = (found.append,) if listener is None else (found.append, listener)
    token = _LISTENERS.set(ours if held else (*_LISTENERS.get(), *ours))
    try:
        if held:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NarrowsWarning)
                yield found
        else:
            yield found
    finally:
        _LISTENERS.reset(token)


_BETWEEN = {"narrows", "sklearn", "joblib", "contextlib"}  # may have frames between the caller and the warning
_SHOWN: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()  # kinds of warnings, by search of scikit-learn


def _shown_in_search() -> set[str]:
    """Return the kinds of warnings that the running search has shown; none outside of searches.

    A search is told by the search or the estimator of the outermost function of `sklearn.model_selection`. In another
    process, which a search with ``n_jobs`` starts, it is told by the code of the function that fits one model.
    """
    found, frame = None, inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.model_selection."):
            search = frame.f_locals.get("self", frame.f_locals.get("estimator", found))
            found = frame.f_code if frame.f_code.co_name == "_fit_and_score" else search
        frame = frame.f_back
    try:
        return set() if found is None else _SHOWN.setdefault(found, set())
    except TypeError:  # an estimator that cannot be a key
        return set()


def _levels_to_caller() -> int:
    """Return the ``stacklevel`` with which a warning points to the caller of narrows."""
    level, frame = 1, inspect.currentframe()
    frame = frame and frame.f_back
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    return level
