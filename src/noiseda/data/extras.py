"""What some of the commands on public sets need beyond the package's own requirements."""

from __future__ import annotations

import importlib
from typing import Any

from noiseda.errors import NoiseDAError


def require(module: str, extra: str = "data") -> Any:
    """Import a module of an extra.

    Raises:
        NoiseDAError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise NoiseDAError(
            f"{package} is missing; install it with: pip install 'noiseda[{extra}]'"
        ) from None
