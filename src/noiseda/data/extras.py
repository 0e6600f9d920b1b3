"""What some of the commands on public sets need beyond the package's own requirements."""

from __future__ import annotations

import importlib
from typing import Any

from noiseda.errors import NoiseDAError


def require(module: str) -> Any:
    """Import a module of the extra `data`.

    Raises:
        NoiseDAError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise NoiseDAError(
            f"{module.partition('.')[0]} is missing; install it with: pip install 'noiseda[data]'"
        ) from None
