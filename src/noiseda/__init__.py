"""Image restoration for real photos, adapted without clean counterparts of those photos."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from noiseda import adaptation, degradations, diffusion, networks
    from noiseda.errors import NoiseDAError
    from noiseda.restoration import Restorer, load

# name -> (module, attribute); loaded at first use, because torch takes seconds to import
_LAZY = {
    "load": ("noiseda.restoration", "load"),
    "Restorer": ("noiseda.restoration", "Restorer"),
    "NoiseDAError": ("noiseda.errors", "NoiseDAError"),
    "networks": ("noiseda.networks", None),
    "diffusion": ("noiseda.diffusion", None),
    "degradations": ("noiseda.degradations", None),
    "adaptation": ("noiseda.adaptation", None),
}

__all__ = [
    "NoiseDAError",
    "Restorer",
    "__version__",
    "adaptation",
    "degradations",
    "diffusion",
    "load",
    "networks",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'noiseda' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
