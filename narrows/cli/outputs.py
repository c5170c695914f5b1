"""Outputs must not destroy inputs: one check for all verbs, by the types of their parameters."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import narrows
from narrows.cli.console import command_line, results_to_standard_error
from narrows.cli.log import start_log, why_no_log

__all__ = ["READS", "READS_PIPE", "WRITES", "WRITES_PIPE", "Verb", "split_record"]


class _Reads(click.types.StringParamType):
    """A path that is read: a file, a folder, a glob, or ``DATA#INDEX``; names of data sets are no paths.

    Parameters
    ----------
    pipe : bool
        Whether it may be ``-``, standard input.
    """

    name = "input"

    def __init__(self, *, pipe: bool = False) -> None:
        self.pipe = pipe


class _Writes(click.types.StringParamType):
    """A path that is written: a file, or a folder of images.

    Parameters
    ----------
    pipe : bool
        Whether it may be ``-``, standard output.
    why_not : str
        The reason why it may not be.
    """

    name = "output"

    def __init__(self, *, pipe: bool = False, why_not: str = "narrows seeks in it, or replaces it as a whole") -> None:
        self.pipe, self.why_not = pipe, why_not


READS, WRITES = _Reads(), _Writes()
READS_PIPE, WRITES_PIPE = _Reads(pipe=True), _Writes(pipe=True)
"""Types for parameters of verbs. Every parameter that is a path has one of them."""

_APPENDS, _LOG = _Writes(why_not="it keeps what is printed"), "log"


class Verb(click.Command):
    """A command that refuses outputs that would overwrite one of its inputs, before it does anything.

    It also refuses further arguments, as of a pattern that the shell replaced by the names of many files. Each verb has
    the option ``--log``.
    """

    allow_extra_args = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--log"],
                type=_APPENDS,
                metavar="FILE",
                help="Append notes, warnings, epochs, results and errors to FILE, each line with the time.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            raise click.UsageError(_too_many(ctx), ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        inputs = [one for kind in self.params if isinstance(kind.type, _Reads) for one in _given(ctx, kind)]
        outputs = [one for kind in self.params if isinstance(kind.type, _Writes) for one in _given(ctx, kind)]
        for output in outputs:
            for given in inputs:
                _check(output, given)
        if sum(_is_pipe(given) for given in inputs) > 1:
            raise click.UsageError("Standard input can be read only once. Give '-' for one input.")
        results_to_standard_error(ctx, on="-" in outputs)
        log = ctx.params.pop(_LOG)
        if log is not None:
            _open_log(ctx, log, outputs)
        return super().invoke(ctx)


def _open_log(ctx: click.Context, log: str, outputs: Sequence[str]) -> None:
    """Open the log of a call, which must not be its output."""
    path = os.path.realpath(os.path.expanduser(log))
    if sum(os.path.realpath(os.path.expanduser(one)) == path for one in outputs) > 1:
        raise click.UsageError(f"The log '{log}' is also the output. Give another name.")
    why_not = why_no_log(path)
    if why_not is not None:
        raise click.UsageError(
            f"--log appends text to a file, and '{log}' {why_not}. Give the name of a new file, or of a text file."
        )
    start_log(ctx, path, f"narrows {narrows.__version__}: {command_line(ctx)}")


def split_record(data: str) -> tuple[str, int | None]:
    """Return DATA and INDEX of ``DATA#INDEX``; no index if there is none, or if a file has that whole name."""
    where, mark, index = data.rpartition("#")
    if mark and where and index.isdecimal() and not os.path.exists(data):
        return where, int(index)
    return data, None


def _given(ctx: click.Context, kind: click.Parameter) -> Iterator[str]:
    """Yield the paths of a parameter, after checking that it may be standard input or output if it is."""
    for one in _texts(ctx.params[kind.name or ""]):
        if _is_pipe(one) and not kind.type.pipe:  # type: ignore[attr-defined]
            name = kind.opts[-1] if isinstance(kind, click.Option) else kind.human_readable_name
            why, got = "narrows seeks in it", "standard input and can only be read from start to end"
            remedy = "Write it to a file first, for example with 'cat > FILE', and give the name of that file."
            if isinstance(kind.type, _Writes):
                why, got = kind.type.why_not, "standard output and can only be written from start to end"
                remedy = "Give the name of a file."
            raise click.UsageError(
                f"{name} must be a file, since {why}. Got '-', which is {got}. {remedy} "
                "For a file that is called '-', give './-'."
            )
        yield one


def _is_pipe(text: str) -> bool:
    return split_record(text)[0] == "-"


def _too_many(ctx: click.Context) -> str:
    """Return an error on further arguments, with the pattern to quote if they are files."""
    more = ctx.args
    text = f"Unexpected argument: '{more[0]}'" + (f" and {len(more) - 1:,} more." if len(more) > 1 else ".")
    if not os.path.exists(more[0]):
        return text
    first = next((one for kind in ctx.command.params for one in _texts(ctx.params.get(kind.name or ""))), more[0])
    files = [first, *more] if os.path.exists(first) else more
    folders, endings = {os.path.dirname(file) for file in files}, {os.path.splitext(file)[1] for file in files}
    pattern = os.path.join(folders.pop() if len(folders) == 1 else "", f"*{endings.pop() if len(endings) == 1 else ''}")
    return f"{text} If the shell replaced a pattern by many names, quote the pattern: {pattern!r}."


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a parameter, which may be given several times, or consist of several."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)


def _check(output: str, given: str) -> None:
    target = Path(output).expanduser()
    if "-" in {output, split_record(given)[0]} or not target.exists():
        return
    for path in _paths(given):
        if target.is_file():
            is_lost = os.path.samefile(target, path) or (path.is_dir() and _is_image(target) and _is_in(target, path))
            if is_lost:
                raise click.UsageError(f"The output '{output}' is also an input. Give another name.")
        lost = next(_images_in(target, path), None) if target.is_dir() else None
        if lost is not None:
            raise click.UsageError(
                f"The output '{output}' contains an input that could be overwritten, '{lost}'. Give another folder."
            )


def _paths(given: str) -> Iterator[Path]:
    """Yield the existing files and folders that an input stands for."""
    from narrows.data.named import is_named

    where = os.path.expanduser(split_record(given)[0])
    if is_named(given):
        return
    if os.path.exists(where):
        yield Path(where)
    else:
        yield from map(Path, glob.iglob(where, recursive=True))


def _images_in(folder: Path, path: Path) -> Iterator[Path]:
    """Yield the input files in an output folder that have the extension of the images written there."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.suffix.lower() == ".png" and file.is_file() and _is_in(file, folder):
            yield file


def _is_in(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _is_image(file: Path) -> bool:
    kind = mimetypes.guess_type(file.name)[0] or ""
    return kind.startswith("image/") and kind != "image/svg+xml"
