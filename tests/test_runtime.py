"""What the package asks of the machine and tells about it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from noiseda import runtime


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are inherited on Linux")
def test_peak_memory_is_that_of_this_process_alone() -> None:
    ask = "from noiseda import runtime; print(runtime.peak_memory())"
    parent = (
        f"import subprocess, sys\nheld = bytearray(300 * 2**20)\n"
        f"held[::4096] = b'1' * len(held[::4096])\n"
        f"subprocess.run([sys.executable, '-c', {ask!r}], check=True)\n{ask}"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True
    )
    child, own = (int(line) for line in done.stdout.split())
    assert own > 300 * 2**20
    assert 0 < child < 100 * 2**20


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_failed_allocations_are_told_from_bugs(error: Exception, expected: bool) -> None:
    assert runtime.out_of_memory(error) is expected
