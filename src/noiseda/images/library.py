"""How this package loads libvips and speaks about files."""

from __future__ import annotations

import functools
import os
from typing import Any

from noiseda.errors import ImageError

PathLike = str | os.PathLike[str]

_pool_process: int | None = None


@functools.cache
def vips() -> Any:
    """The pyvips module, loaded at first use and made quiet and stateless."""
    # libvips reads this when it starts; its warnings on damaged files would go to stderr although
    # the same facts are in our own error
    os.environ.setdefault("VIPS_WARNING", "0")
    import pyvips

    # a cached operation could answer for a file that has changed, and keeps pixels alive
    pyvips.cache_set_max(0)
    return pyvips


def use_thread_pool(path: PathLike) -> None:
    """To be called before libvips computes `path` with its threads: to encode, or to read WebP.

    Raises:
        ImageError: the threads were started by the process this one was forked from. They do not
            exist here and libvips would wait for them for ever.
    """
    global _pool_process
    if _pool_process not in (None, os.getpid()):
        raise ImageError(
            f"{shown(path)}: cannot be handled in a forked process after its parent has written"
            " images or read WebP; start the process by the method 'spawn' or 'forkserver'"
        )
    _pool_process = os.getpid()


def reason(error: Exception) -> str:
    """The last line of what libvips says, which is the most specific one; "" if it says nothing."""
    lines = [line.strip() for line in str(getattr(error, "detail", error)).splitlines()]
    return next((line for line in reversed(lines) if line), "")


def shown(path: PathLike) -> str:
    """`path` for an error message: one line, printable whatever bytes the file name holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
