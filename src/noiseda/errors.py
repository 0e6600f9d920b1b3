"""Errors a user can cause.

Every message is one line that names the file or value and what to do about it. The command line
prints it and exits with code 2; any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class NoiseDAError(Exception):
    """Base of everything that is the input's fault rather than the program's."""


class ImageError(NoiseDAError):
    """An image file that cannot be read or written."""


class WriteError(ImageError):
    """An image file that could be written if the disk had space or gave permission."""


class DataError(NoiseDAError):
    """A missing, empty or mismatched folder of images."""


class OptionError(NoiseDAError):
    """An unknown name, an unknown option, a wrong type or a value out of range."""


class ModelFileError(NoiseDAError):
    """A model file that is wrong, truncated, unsafe or for something else."""


class RunError(NoiseDAError):
    """A run folder that cannot be written, resumed or continued."""


class NonFiniteLossError(RunError):
    """A loss term became infinite or NaN; the message names the term and the step."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'width'?"`, or the list of what is known if nothing is close."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


@contextmanager
def stoppable() -> Iterator[None]:
    """An error that a Ctrl-C has caused counts as the Ctrl-C: one that comes in the middle of
    torch's bookkeeping of contexts makes these fail as they are left.

    Raises:
        KeyboardInterrupt: instead of such an error.
    """
    try:
        yield
    except Exception as error:
        before: BaseException | None = error
        while before is not None and not isinstance(before, KeyboardInterrupt):
            before = before.__cause__ if before.__suppress_context__ else before.__context__
        if before is None:
            raise
        raise KeyboardInterrupt from error
