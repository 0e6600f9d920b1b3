"""Set up the machine that networks run on: device, allocator, memory layout.

What plain PyTorch loses on a CPU: convolutions in the default layout run at about half the speed
of channels-last, and every large activation is returned to the system and faulted in again,
because glibc serves large requests with fresh memory maps.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import nn

    Module = TypeVar("Module", bound=nn.Module)

# glibc's mallopt parameters, from malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def prepare() -> None:
    """Set this process up for networks; call once, before the first one runs.

    Lets glibc keep large freed buffers for the next layer instead of returning them. On other
    systems nothing changes.
    """
    if _glibc():
        libc = ctypes.CDLL(None)
        if libc.mallopt(_M_MMAP_MAX, 0):
            libc.mallopt(_M_TRIM_THRESHOLD, ctypes.c_int(2**31 - 1))


def release_unused() -> None:
    """Return freed buffers to the system, where the allocator can."""
    if _glibc():
        ctypes.CDLL(None).malloc_trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error tells of a failed allocation, which torch reports as a RuntimeError."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def best_device() -> torch.device:
    """The accelerator if torch has one that works, else the CPU."""
    import torch

    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
        if accelerator is not None:
            return accelerator
    return torch.device("cpu")


def fast_layout(module: Module) -> Module:
    """The module with its weights in channels-last order, which convolutions run fastest in."""
    import torch

    return module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def peak_memory() -> int:
    """Peak resident memory of this process in bytes (0 where the system does not tell)."""
    status = Path("/proc/self/status")
    if status.exists():
        # not getrusage: there a program starts with the peak of the one that started it
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device, or of the machine's memory for a CPU."""
    import psutil
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def environment() -> dict[str, str | int]:
    """What a run was made with, for `environment.json`."""
    import lightning
    import torch

    from noiseda import __version__

    return {
        "noiseda": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": str(best_device()),
    }
