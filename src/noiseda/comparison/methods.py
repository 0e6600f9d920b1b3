"""What a comparison's names stand for: the recipe that each method trains by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydantic
import torch
from torch import Tensor

from noiseda import adaptation, classical
from noiseda.errors import DataError, OptionError, did_you_mean
from noiseda.registry import explain
from noiseda.training import Recipe
from noiseda.training.sources import is_measured, with_measured_noise

# pretrained on synthetic pairs; what every method continues from
START = "start"
# 0 % and 100 % of the gap
VANILLA, ORACLE = "vanilla", "oracle"
_ORACLE_OBJECTIVE = "supervised"
# a length is the comparison's affair, and several devices would start its program several times
_NOT_A_METHODS = ("images", "start", "devices", "nodes")

INPUT = "input"


def _of_tensors(denoise: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], Tensor]:
    """A denoiser of H×W×3 arrays as one of tensors."""

    def restore(image: Tensor) -> Tensor:
        pixels = image[0].movedim(0, -1).cpu().numpy()
        return torch.from_numpy(denoise(pixels)).movedim(-1, 0)[None].to(image)

    return restore


UNTRAINED: dict[str, Callable[[Tensor], Tensor]] = {
    INPUT: lambda image: image,
    # these estimate the noise of each image from that image, see `classical.estimate_noise`
    **{name: _of_tensors(denoise) for name, denoise in classical.METHODS.items()},
}
"""Methods without training: from a degraded image, 1×3×H×W in [0, 1], to the restored one."""


@dataclass(frozen=True)
class Method:
    """One method that is trained.

    Attributes:
        name: in tables and folders.
        recipe: of its continuation, but for seed, length and start model.
        from_start: whether it continues from the pretrained network; if not, it has a network of
            its own.
    """

    name: str
    recipe: Recipe
    from_start: bool = True


def trained(recipe: Recipe, names: Sequence[str]) -> list[Method]:
    """The methods of these names that train, with `VANILLA`, which every comparison needs.

    Args:
        recipe: with its `compare` section, if it has one.
        names: of methods, see `known`.

    Raises:
        OptionError: an unknown name or option, a value out of range, or a method without training
            whose libraries are missing or that is for another task.
        DataError: the oracle has no ground truth to learn from.
    """
    for name in recipe.compare.methods if recipe.compare else ():
        if name in (*UNTRAINED, START) or not re.fullmatch(r"\w[\w.-]*", name):
            raise OptionError(
                f"compare.methods.{name}: not a name for a method; use letters, digits, '-', '_' "
                f"and '.', and none of {', '.join([*UNTRAINED, START])}"
            )
    for name in names:
        if name in classical.METHODS and recipe.task != "denoise":
            raise OptionError(
                f"method {name!r} removes noise alone, and the recipe's task is {recipe.task!r}; "
                "leave it out"
            )
        if name not in known(recipe):
            hint = did_you_mean(name, known(recipe))
            if name == _ORACLE_OBJECTIVE:
                hint = f"; it is called {ORACLE!r}"
            raise OptionError(f"unknown method {name!r}{hint}")
        if name in classical.METHODS:
            classical.require(name)
    chosen = [name for name in dict.fromkeys(names) if name not in (*UNTRAINED, START)]
    return [_method(recipe, name) for name in dict.fromkeys([VANILLA, *chosen])]


def known(recipe: Recipe) -> list[str]:
    """What can be compared for the recipe's task: methods without training, the start model, the
    objectives, and what the recipe's `compare` section names."""
    untrained = [n for n in UNTRAINED if recipe.task == "denoise" or n not in classical.METHODS]
    objectives = [name for name in adaptation.OBJECTIVES.names if name != _ORACLE_OBJECTIVE]
    own = recipe.compare.methods if recipe.compare else {}
    return list(dict.fromkeys([*untrained, START, *objectives, *own, ORACLE]))


def default_names(recipe: Recipe) -> list[str]:
    """What is compared if nobody says: the methods that the recipe names, or its objective; and
    the oracle if there is ground truth."""
    own = list(recipe.compare.methods) if recipe.compare else []
    names = [INPUT, START, VANILLA, *(own or [str(recipe.objective["name"])])]
    names = [name for name in names if name not in (ORACLE, _ORACLE_OBJECTIVE)]
    return list(dict.fromkeys([*names, ORACLE] if recipe.data.truth else names))


def pretraining(recipe: Recipe) -> Recipe:
    """The recipe of the vanilla network that the methods continue from."""
    return _changed(recipe, START, _objective(recipe, VANILLA, {}), {})


def _method(recipe: Recipe, name: str) -> Method:
    compare = recipe.compare
    entry = dict((compare.methods.get(name) if compare else None) or {})
    training = {**(compare.training if compare else {}), **_mapping(entry.pop("training", {}))}
    refused = sorted(training.keys() & set(_NOT_A_METHODS))
    if refused:
        raise OptionError(
            f"method {name!r}: training.{refused[0]} is the same for all methods; leave it out "
            "of the compare section"
        )
    network = entry.pop("network", None)
    degradation, enlarge = entry.pop("degradation", None), entry.pop("enlarge", None)
    fixed = {VANILLA: VANILLA, ORACLE: _ORACLE_OBJECTIVE}.get(name)
    objective = entry.pop("name", fixed or name)
    if objective != (fixed or objective):
        raise OptionError(f"compare.methods.{name}: its objective is {fixed!r}, not {objective!r}")
    options = _objective(recipe, objective, entry)
    if degradation is not None:
        recipe = _degraded(recipe, name, degradation)
    if enlarge is not None:
        content = recipe.model_dump()
        content["data"]["enlarge"] = enlarge
        recipe = _validated(content, name)
    resolved = _changed(recipe, name, options, training, network)
    built = _built(resolved)
    if network is None and built.own_network not in (None, recipe.network["name"]):
        network = built.own_network
        resolved = _changed(recipe, name, options, training, network)
    needs_truth = "truth" in built.required
    if needs_truth and name != ORACLE:
        raise OptionError(
            f"method {name!r}: objective {objective!r} sees the ground truth of the real photos, "
            f"which only the method {ORACLE!r} may"
        )
    if needs_truth and not recipe.data.truth:
        raise DataError(
            f"method {name!r} needs data.truth, the ground truth of data.real; give its folder "
            "with --set data.truth=FOLDER, or leave the method out"
        )
    return Method(name, resolved, from_start=network is None)


def _objective(recipe: Recipe, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The recipe's own objective keeps the options that the recipe gives it."""
    own = recipe.objective if recipe.objective["name"] == name else {}
    return {**own, "name": name, **options}


def _changed(
    recipe: Recipe,
    name: str,
    objective: dict[str, Any],
    training: dict[str, Any],
    network: Any = None,
) -> Recipe:
    """The recipe with another objective, and without what no training of a comparison uses."""
    content = recipe.model_dump()
    content["compare"] = content["data"]["validation"] = None
    if name != ORACLE:
        # so that no training of another method can come near it
        content["data"]["truth"] = []
    content["objective"] = objective
    content["network"] = content["network"] if network is None else network
    # one device, as the whole command would be started once for each
    content["training"] |= {**training, "devices": 1, "nodes": 1}
    if network is not None:
        content["training"]["start"] = None
    return _validated(content, name)


def _degraded(recipe: Recipe, name: str, degradation: Any) -> Recipe:
    """The recipe with another degradation."""
    measured = is_measured(degradation)
    content = recipe.model_dump() | {"degradation": "matched" if measured else degradation}
    changed = _validated(content, name)
    return with_measured_noise(changed) if measured else changed


def _validated(content: dict[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except pydantic.ValidationError as error:
        raise OptionError(f"method {name!r}: {explain(error, Recipe)}") from None
    except OptionError as error:
        raise OptionError(f"method {name!r}: {error}") from None


def _built(recipe: Recipe) -> adaptation.Objective:
    """The recipe's objective, without memory: only to be asked."""
    options = dict(recipe.objective)
    with torch.device("meta"):
        return adaptation.build(options.pop("name"), **options)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OptionError(f"compare: expected training keys with values, got {value!r}")
    return value
