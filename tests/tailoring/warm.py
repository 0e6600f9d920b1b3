"""Processes of the command line that start at once, forked from one that has loaded everything.

Loading takes most of the time of a short command; a command that is stopped seven times would take
a minute for that alone.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ENVIRONMENT

_PARENT = """
import json, os, signal, sys
import torch.utils.tensorboard, noiseda.tailoring
from noiseda.cli import main
for line in sys.stdin:
    sys.argv, *files = json.loads(line)
    child = os.fork()
    if not child:
        # tests that run in the background of a script inherit that Ctrl-C is ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, name in enumerate(files, 1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        main()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """Runs one command at a time.

    Args:
        folder: for what they write to stdout and stderr.
    """

    def __init__(self, folder: Path) -> None:
        self.files = [folder / name for name in ("stdout", "stderr")]
        self.parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.child = 0

    def begin(self, *arguments: str | Path) -> None:
        command = [["noiseda", *map(str, arguments)], *map(str, self.files)]
        assert self.parent.stdin is not None
        self.parent.stdin.write(json.dumps(command) + "\n")
        self.child = int(self._line())

    def running(self) -> bool:
        return not self._said(0)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.child, number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the command: exit code, stdout, stderr."""
        code = int(self._line())
        out, err = (path.read_text() for path in self.files)
        return code, out, err

    def close(self) -> None:
        self.parent.kill()
        self.parent.communicate()

    def _line(self) -> str:
        assert self._said(120), "it hangs"
        assert self.parent.stdout is not None
        return self.parent.stdout.readline()

    def _said(self, seconds: float) -> bool:
        assert self.parent.stdout is not None
        return bool(select.select([self.parent.stdout], [], [], seconds)[0])
