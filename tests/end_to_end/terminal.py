"""The command line as somebody at a terminal sees it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ENVIRONMENT


def in_terminal(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout, and all that was written to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "noiseda", *map(str, arguments)],
        env={**ENVIRONMENT, "TERM": "xterm"},
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:
        # how Linux says that the other end is closed
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=100)
    return process.returncode, out, shown.decode()


def plain(shown: str) -> str:
    """Without what moves the cursor and sets colours."""
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown)
