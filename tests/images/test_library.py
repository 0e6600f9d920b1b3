"""libvips in processes: silent, and never waiting for threads that are not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.images.conftest import noise


def test_stderr_stays_clean(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 20] = bytes(20)
    (tmp_path / "damaged.jpg").write_bytes(damaged)
    program = """
import sys
from noiseda import errors, images
for path in sys.argv[1:]:
    try:
        images.read(path)
        print("read")
    except errors.ImageError:
        print("refused")
assert "torch" not in sys.modules
"""
    names = [str(tmp_path / name) for name in ("a.jpg", "cut.jpg", "damaged.jpg")]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["read", "refused"]
    assert done.stderr == ""


def test_forked_processes_never_hang(tmp_path: Path) -> None:
    """Data-loading workers are forked from a process that has read and written images."""
    names = ["a.png", "a.jpg", "a.tif", "a.webp"]
    program = """
import os, signal, sys
import numpy as np
from noiseda import errors, images
pixels = np.zeros((300, 30, 3), np.uint8)
for path in sys.argv[1:]:
    images.write(path, pixels)
    images.read(path)
actions = [lambda path=path: images.read(path) for path in sys.argv[1:]]
actions.append(lambda: images.write(sys.argv[1], pixels))
actions.append(lambda: images.through_jpeg(pixels, 90))
for action in actions:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 0
        try:
            action()
        except errors.ImageError as error:
            code = 1 if "forkserver" in str(error) else 2
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0", "0", "1", "1", "1"]
