"""Whether trainings by two recipes are alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from noiseda.adaptation import OBJECTIVES
from noiseda.degradations import DEGRADATIONS
from noiseda.networks.wrapper import BODIES
from noiseda.registry import Registry
from noiseda.training import Recipe

# keys that change nothing of a result
_FREE = {"name", "data.cache", "data.workers"} | {
    f"training.{key}" for key in ("checkpoint_every", "validate_every", "log_every", "start")
}
# and those keys that change nothing of a step's cost
_NO_COST = _FREE | {"seed", "training.images"}

_PARTS: dict[str, Registry[Any]] = {
    "degradation": DEGRADATIONS,
    "network": BODIES,
    "objective": OBJECTIVES,
}


def digest(recipe: Recipe) -> str:
    """What tells whether a recipe's trainings are still the same, whatever their seed."""
    # keys and options that a later version adds are at their defaults
    content = recipe.model_dump(mode="json", exclude_defaults=True)
    for role, registry in _PARTS.items():
        part = content.get(role)
        # a network of a library has no options of ours
        if part and part["name"] in registry.names:
            content[role] = registry.changed(part["name"], part)
    keys = _keys(content)
    kept = {key: value for key, value in keys.items() if key not in _NO_COST}
    text = json.dumps(sorted((key, repr(value)) for key, value in kept.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(old: Recipe, new: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Keys that change a result and differ, with both values; None where one has no such key."""
    olds, news = _keys(old.dump()), _keys(new.dump())
    for key in sorted((olds.keys() | news.keys()) - _FREE):
        if olds.get(key) != news.get(key):
            yield key, olds.get(key), news.get(key)


def _keys(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys such as `training.images`."""
    if not isinstance(content, dict) or not content:
        return {prefix.removesuffix("."): content}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _keys(value, f"{prefix}{key}.")
    return found
