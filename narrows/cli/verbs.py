"""The group of verbs, which are imported when they are called; errors become exit codes with a message."""

from __future__ import annotations

import difflib
import errno
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import click

from narrows.cli.arguments import arguments, keep_arguments
from narrows.cli.console import print_json_error
from narrows.cli.log import current_log, logged, tell
from narrows.cli.streams import open_closed_streams, unfailing_messages
from narrows.cli.warned import warnings_in_words
from narrows.errors import InvalidParameterError, NarrowsError
from narrows.io.packages import naming_missing
from narrows.io.text import printable

__all__ = ["FAILED", "INTERRUPTED", "TERMINATED", "Failure", "Verbs"]

FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
_STOPPED = {INTERRUPTED: "Interrupted", TERMINATED: "Terminated"}


class Failure(click.ClickException):
    """Ends the command with ``Error: message`` on standard error and an exit code of 1."""

    exit_code = FAILED


class WrongUsage(Failure):
    """The same for wrong usage, with an exit code of 2."""

    exit_code = WRONG_USAGE


class _Terminated(SystemExit):
    """The process received SIGTERM."""


class Verbs(click.Group):
    """A group whose commands are imported when they are called.

    Parameters
    ----------
    verbs : dict of str to (str, str)
        For each verb the module with a command of that name, and one line of help.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def main(self, *args: Any, **kwargs: Any) -> Any:
        open_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without '×' still shows the rest of the line
        with unfailing_messages():
            return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        command: click.Command = getattr(import_module(self.verbs[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in self.verbs.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name.lower(), self.verbs, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"Unknown verb: '{name}'.{hint} Choose one of: {', '.join(self.verbs)}.")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        keep_arguments(ctx, args)
        with _reported(ctx), _printable_errors(args):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _reported(ctx), _printable_errors(arguments(ctx)):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            verb = next((given for given in arguments(ctx) if given in self.verbs), "")
            with _terminable(), warnings_in_words(), naming_missing(f"narrows {verb}"), _stops_as_raised():
                return super().invoke(ctx)
        except InvalidParameterError as error:
            raise WrongUsage(printable(str(error), lines=False)) from error
        except NarrowsError as error:
            raise Failure(printable(str(error), lines=False)) from error
        except MemoryError as error:
            details = f" {error}" if str(error) else ""
            raise Failure(f"Not enough memory. Close other programs, or use less data.{details}") from error
        except RuntimeError as error:  # PyTorch has no error of its own for this
            if "allocate memory" not in str(error) and "out of memory" not in str(error):
                raise
            raise Failure("Not enough memory. Close other programs, or use less data or a smaller network.") from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader closed the pipe; Click ends quietly
                raise
            raise Failure(printable(_what_failed(error), lines=False)) from error
        except KeyboardInterrupt:
            tell("Interrupted.")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except _Terminated:
            tell("Terminated.")
            raise click.exceptions.Exit(TERMINATED) from None


@contextmanager
def _reported(ctx: click.Context) -> Iterator[None]:
    """Write an error of the block as JSON if that was asked for, and the exit code to the log."""
    exit_code = FAILED
    try:
        yield
        exit_code = 0
    except click.ClickException as error:
        exit_code, message = error.exit_code, error.format_message()
        logged("error", message)
        print_json_error(ctx, _kind(error), message, exit_code)
        raise
    except click.exceptions.Exit as stop:
        exit_code = stop.exit_code
        if exit_code in _STOPPED:
            print_json_error(ctx, _STOPPED[exit_code], f"{_STOPPED[exit_code]}.", exit_code)
        raise
    finally:
        log = current_log()
        if log is not None:
            log.close(exit_code)


def _kind(error: click.ClickException) -> str:
    """Return the kind of an error: the name of the class that was raised."""
    if error.__cause__ is not None:
        return type(error.__cause__).__name__
    return "UsageError" if isinstance(error, click.UsageError) else "NarrowsError"


@contextmanager
def _printable_errors(given: Sequence[str]) -> Iterator[None]:
    """Escape control characters in errors of the block, and explain arguments that look like options.

    Names of files, which errors repeat, may have any characters.
    """
    try:
        yield
    except click.ClickException as error:
        text = printable(error.message)
        if isinstance(error, click.NoSuchOption):
            error.option_name = printable(error.option_name)  # type: ignore[misc]
        dashed = next((one for one in given if _may_be_file(one)), None)
        if isinstance(error, click.UsageError) and dashed is not None and not text.endswith(_DASHED):
            name = printable(dashed)
            text += f" If '{name}' is the name of a file, write './{name}'{_DASHED}"
        error.message = text  # type: ignore[misc]
        raise


_DASHED = ": names that begin with '-' are taken for options."


def _may_be_file(argument: str) -> bool:
    """Return whether an argument that begins with a dash is, or looks like, the name of a file."""
    if not argument.startswith("-") or argument == "-":
        return False
    return os.path.lexists(argument) or re.fullmatch(r"-[^-=][^=]*\.[A-Za-z]\w*", argument) is not None


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM end the block as Ctrl-C does, so that unfinished files are removed."""
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated(TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextmanager
def _stops_as_raised() -> Iterator[None]:
    """Raise the exception of a signal in place of an error that Python made of it.

    A signal may arrive anywhere in an import. Python 3.11 replaces what is raised while a class is made, in
    ``__set_name__``, by a RuntimeError whose cause it is.
    """
    try:
        yield
    except (RuntimeError, SystemError, ImportError) as error:
        cause = error.__cause__
        while cause is not None and not isinstance(cause, KeyboardInterrupt | _Terminated):
            cause = cause.__cause__
        if cause is not None:
            raise cause from None
        raise


def _what_failed(error: OSError) -> str:
    """Return an error of the operating system as one line: the file and the reason."""
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}." if error.filename is not None else f"{what}."
