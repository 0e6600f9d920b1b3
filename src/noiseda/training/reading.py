"""Reading recipes: by name or from a file, with overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from noiseda.checkpoint import open_model
from noiseda.data import AbsolutePath
from noiseda.errors import OptionError, did_you_mean
from noiseda.registry import explain
from noiseda.training.recipe import Recipe
from noiseda.training.sources import is_measured, with_measured_noise

# keys that hold a folder or file; `--set data.real=2024` names the folder 2024, not a number
_PLACES = {
    *("data.clean", "data.real", "data.unpaired", "data.cache", "training.start"),
    *("data.truth", "compare.source"),
    *(
        f"data.{pairs}.{key}"
        for pairs in ("validation", "pairs")
        for key in ("degraded", "clean", "degraded.folder")
    ),
}
# each a name with the options of what has that name
_PARTS = ("network", "degradation", "objective", "objective.predictor")
# OmegaConf reports a file of another type by OSError, incompatible merges by TypeError
_BROKEN = (OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError)


def shipped() -> dict[str, Path]:
    """The recipes inside the package, by name."""
    folder = Path(__file__).parent.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(
    source: str | Path, overrides: Sequence[str] | Mapping[str, Any] | None = None
) -> Recipe:
    """A recipe by name or from a YAML file, with overrides.

    An override that names another network, degradation, objective or predictor takes the place of
    the recipe's with all its options, which are not those of the new one.

    Args:
        source: name of a shipped recipe, or a file.
        overrides: texts `key.sub=value` with the value in YAML, as on the command line; or values
            by `key.sub`, which are taken as they are, after the file's own `${references}`.

    Raises:
        OptionError: no such recipe, broken YAML, an unknown key, a wrong type or value.
        DataError: the noise of real photos is asked for and cannot be measured.
        ImageError: an image that cannot be read, of these.
    """
    known = shipped()
    path = known.get(str(source), Path(source))
    if not path.is_file():
        hint = did_you_mean(str(source), known)
        raise OptionError(f"{source}: no such recipe file, and no shipped recipe{hint}")
    try:
        config = OmegaConf.load(path)
    except _BROKEN as error:
        raise OptionError(f"{path}: not valid YAML: {_one_line(error)}") from None
    if not isinstance(config, DictConfig):
        raise OptionError(f"{path}: not a recipe: it holds a list, not keys with values")
    # with its ${references} as they are
    content: Any = OmegaConf.to_container(config)
    values = overrides if isinstance(overrides, Mapping) else {}
    texts = overrides if isinstance(overrides, Sequence) else ()
    for text in texts:
        if "=" not in text:
            raise OptionError(f"--set {text}: expected key=value, for example data.batch=16")
        try:
            content = _merged(content, OmegaConf.to_container(_parsed(text)))
        except _BROKEN as error:
            raise OptionError(f"--set {text}: {_one_line(error)}") from None
    try:
        content = OmegaConf.to_container(OmegaConf.create(content), resolve=True)
    except _BROKEN as error:
        raise OptionError(f"{path}: {_one_line(error)}") from None
    for key, value in values.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        content = _merged(content, value)
    try:
        content = _with_network_of_start(content)
        measured = isinstance(content, dict) and is_measured(content.get("degradation"))
        # first whether all else is right
        recipe = Recipe.model_validate(
            {**content, "degradation": "matched"} if measured else content
        )
    except pydantic.ValidationError as error:
        raise OptionError(f"{source}: {explain(error, Recipe)}") from None
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from None
    return with_measured_noise(recipe) if measured else recipe


def _with_network_of_start(content: Any) -> Any:
    """With the network that the file `training.start` holds, if the recipe's network is "start".

    Raises:
        NoiseDAError: no such file is named, or it cannot be opened.
    """
    if not isinstance(content, dict):
        return content
    wanted = content.get("network")
    if isinstance(wanted, dict) and wanted.get("name") == "start":
        if len(wanted) > 1:
            raise OptionError("network: of 'start' all options come from the file, so give none")
        wanted = "start"
    if wanted != "start":
        return content
    training = content.get("training")
    start = training.get("start") if isinstance(training, dict) else None
    if start is None:
        raise OptionError("network: 'start' is that of the model file training.start; name one")
    path = pydantic.TypeAdapter(AbsolutePath).validate_python(start)
    network, _ = open_model(path)
    return {**content, "network": {"name": network.name, **network.options}}


def _parsed(text: str) -> DictConfig:
    """The override `key.sub=value` as a nested mapping."""
    key, _, value = text.partition("=")
    # a list, a mapping or something quoted is YAML also where a folder belongs
    if key not in _PLACES or value in ("", "~", "null") or value[0] in "[{\"'":
        return OmegaConf.from_dotlist([text])
    config = OmegaConf.create()
    OmegaConf.update(config, key, value)
    return config


def _merged(content: Any, change: Any, place: str = "") -> Any:
    """`content` with what `change` names replaced, mapping by mapping; `place` is their key."""
    if not isinstance(change, Mapping):
        return change
    if place in _PARTS:
        if isinstance(content, str):
            content = {"name": content}
        if isinstance(content, dict) and change.get("name", content.get("name")) != content.get(
            "name"
        ):
            content = {}
    if not isinstance(content, dict):
        content = {}
    inside = f"{place}." if place else ""
    merged = {k: _merged(content.get(k), item, f"{inside}{k}") for k, item in change.items()}
    return {**content, **merged}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
