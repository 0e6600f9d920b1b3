"""Writing files that are whole or absent."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` under `path` in one step, or leave everything as it was.

    Raises:
        OSError: no permission, no such folder, disk full.
    """
    # hidden and of no known suffix: nobody takes it for a result while it grows
    temporary = path.with_name(f".noiseda-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            # some file systems report a full disk only now
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
