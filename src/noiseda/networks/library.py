"""Access to spandrel, the library that holds the architectures of the field.

It is an extra, imported at first use: it loads torchvision, which takes seconds. Of its two parts
`spandrel` has architectures with permissive licences, `spandrel_extra_arches` those with others.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import typing
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

from noiseda.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from spandrel import Architecture, ArchRegistry, ImageModelDescriptor, ModelDescriptor

MISSING = "spandrel is not installed; pip install 'noiseda[zoo]'"


class MissingExtraError(OptionError):
    """What was asked for needs an extra that is not installed."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Deprecations inside the library are not the user's concern."""
    with warnings.catch_warnings(action="ignore"):
        yield


def installed() -> bool:
    """Whether the extra is there, found out without importing it."""
    return all(importlib.util.find_spec(part) for part in ("spandrel", "spandrel_extra_arches"))


@functools.cache
def registry() -> ArchRegistry:
    """All architectures of both parts; the library's own registry is left as it is.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        with _quiet():
            import spandrel
            import spandrel_extra_arches
    except ImportError:
        raise MissingExtraError(MISSING) from None
    known = spandrel.MAIN_REGISTRY.copy()
    known.add(*spandrel_extra_arches.EXTRA_REGISTRY, ignore_duplicates=True)
    return known


def restricted() -> list[str]:
    """Architectures whose licences allow less than any use.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    registry()
    import spandrel_extra_arches

    return [support.architecture.id for support in spandrel_extra_arches.EXTRA_REGISTRY]


def architecture(name: str) -> Architecture[nn.Module]:
    """The architecture that spandrel calls `name`.

    Raises:
        MissingExtraError: the extra is not installed.
        OptionError: spandrel has none of that name.
    """
    found = registry().get(name)
    if found is None:
        known = [support.architecture.id for support in registry()]
        raise OptionError(f"spandrel has no architecture {name!r}{did_you_mean(name, known)}")
    return found.architecture


def construct(name: str, hyperparameters: dict[str, Any]) -> nn.Module:
    """A network of an architecture with fresh weights, in training mode.

    Args:
        name: what spandrel calls the architecture, such as "SwinIR".
        hyperparameters: keyword arguments of the network's constructor.

    Raises:
        MissingExtraError: the extra is not installed.
        OptionError: no such architecture, or not with these hyperparameters.
    """
    reason = "it has other hyperparameters"
    for part in _classes(architecture(name)):
        if hyperparameters.keys() <= inspect.signature(part).parameters.keys():
            try:
                with _quiet():
                    return part(**hyperparameters)
            except MemoryError:
                raise
            except Exception as error:
                # constructors check little, so values that do not fit fail anywhere
                reason = _one_line(error)
    raise OptionError(f"{name} cannot be built with {json.dumps(hyperparameters)}: {reason}")


def describe(name: str, network: nn.Module) -> ImageModelDescriptor[nn.Module]:
    """What spandrel says of a network: channels, scale, sizes, and how it is called.

    Raises:
        OptionError: spandrel cannot tell from its weights what it is.
    """
    from spandrel import ImageModelDescriptor

    try:
        with _quiet():
            found = architecture(name).load(dict(network.state_dict()))
    except OptionError:
        raise
    except Exception as error:
        reason = _one_line(error)
        raise OptionError(f"{name} cannot be built without a weights file: {reason}") from None
    if not isinstance(found, ImageModelDescriptor):
        raise OptionError(f"{name} does not restore an image from the image alone")
    return found


def load(content: dict[str, Any]) -> ModelDescriptor | None:
    """What spandrel recognises in the content of a weights file; None if nothing.

    Raises:
        MissingExtraError: the extra is not installed.
        OptionError: names are those of an architecture, shapes or numbers of its weights are not.
    """
    known = registry()
    from spandrel import UnsupportedModelError

    try:
        with _quiet():
            return known.load(content)
    except UnsupportedModelError:
        return None
    except MemoryError:
        raise
    except Exception as error:
        # it looks at little before it takes weights for granted
        reason = _one_line(error)
        raise OptionError(f"the weights fit no network that spandrel knows: {reason}") from None


def call_of(descriptor: ImageModelDescriptor[nn.Module]) -> Callable[..., Any]:
    """How the network is called with an image. The descriptor itself clamps and computes no
    gradients; what it calls has no public name."""
    return descriptor._call_fn


def defaults_of(name: str) -> dict[str, Any]:
    """Default arguments of an architecture's network, if it has but one."""
    (part,) = _classes(architecture(name))
    parameters = inspect.signature(part).parameters
    return {key: parameter.default for key, parameter in parameters.items()}


def hyperparameters_of(network: nn.Module) -> dict[str, Any]:
    """What the constructor of one of spandrel's networks was given, without defaults.

    Raises:
        OptionError: something that a model file cannot hold.
    """
    given: dict[str, Any] = getattr(network, "hyperparameters", {})
    parameters = inspect.signature(type(network)).parameters
    usual = {key: parameter.default for key, parameter in parameters.items()}
    found = {key: value for key, value in given.items() if value != usual.get(key)}
    try:
        return json.loads(json.dumps(found))
    except (TypeError, ValueError):
        name = type(network).__name__
        raise OptionError(f"{name} has hyperparameters that no model file can hold") from None


def _classes(of: Architecture[nn.Module]) -> list[type[nn.Module]]:
    """The network classes of an architecture, from its declaration `class …(Architecture[Net])`."""
    declared = [
        part for base in getattr(type(of), "__orig_bases__", ()) for part in typing.get_args(base)
    ]
    found = [one for part in declared for one in (typing.get_args(part) or (part,))]
    return [one for one in found if inspect.isclass(one) and issubclass(one, nn.Module)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
