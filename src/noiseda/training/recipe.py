"""A recipe says all that a training run needs; it is one YAML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field

from noiseda import adaptation, degradations, networks
from noiseda.checkpoint import TASKS
from noiseda.data import AbsolutePath, Selection
from noiseda.errors import OptionError, did_you_mean
from noiseda.registry import explain


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)


def _selection(value: Any) -> Any:
    return {"folder": value} if isinstance(value, str | Path) else value


def _selections(value: Any) -> Any:
    return [value] if isinstance(value, str | Path | dict) else value


# a folder, a mapping with include and exclude patterns, or a list of either
One = Annotated[Selection, BeforeValidator(_selection)]
Many = Annotated[list[One], BeforeValidator(_selections)]


def _part(check: Callable[..., dict[str, Any]]) -> BeforeValidator:
    """Validate a part's name and options against the registry it comes from."""

    def validate(value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ValueError("expected a mapping with 'name' and the options of that part")
        name = value["name"]
        options = {str(key): option for key, option in value.items() if key != "name"}
        return {"name": name, **check(name, **options)}

    return BeforeValidator(validate)


def _options(registry: Any) -> Callable[..., dict[str, Any]]:
    return lambda name, **options: registry.options(name, options)


class Validation(_Strict):
    """Images with ground truth, for scoring only; pairs by relative path."""

    degraded: One
    clean: AbsolutePath


class Data(_Strict):
    """Folders of images and how crops are taken from them.

    Attributes:
        clean: clean source images.
        real: unlabeled real photos of the target.
        unpaired: clean images of another collection, for the unpaired mode.
        validation: images with ground truth; never trained on.
        patch: height and width of crops, in pixels.
        batch: samples of a step, over all devices.
        workers: loader processes; None for a number that fits the machine.
        cache: folder for decoded images; None for the user's cache folder.
    """

    clean: Annotated[Many, Field(min_length=1)]
    real: Many = []
    unpaired: Many = []
    validation: Validation | None = None
    patch: Annotated[int, Field(ge=8, le=4096)] = 64
    batch: Annotated[int, Field(ge=1, le=65536)] = 8
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    cache: AbsolutePath | None = None


class Training(_Strict):
    """How long and how fast. Everything that has a length is counted in images (samples).

    Attributes:
        images: samples to train on.
        learning_rate: of Adam, for all networks.
        ema_halflife: after how many images a weight's influence on the average has halved.
        clip_norm: greatest gradient norm, of each network alone; None for no limit.
        checkpoint_every, validate_every, log_every: intervals in images.
        start: model file whose weights the restoration network starts from.
        precision: of computation, as Lightning names it.
        devices: how many; "auto" for all accelerators, or one CPU process.
        nodes: machines of a distributed run.
    """

    images: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    ema_halflife: Annotated[float, Field(gt=0)] = 4000
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    checkpoint_every: Annotated[int, Field(ge=1)] = 4000
    validate_every: Annotated[int, Field(ge=1)] = 8000
    log_every: Annotated[int, Field(ge=1)] = 400
    start: AbsolutePath | None = None
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    nodes: Annotated[int, Field(ge=1)] = 1


class Recipe(_Strict):
    """Everything a run needs.

    Attributes:
        name: for the run folder and reports.
        task: "denoise", "derain" or "deblur".
        seed: every random draw of the run derives from it.
        data: where images come from.
        degradation: makes the synthetic image: `name` and its options.
        network: the restoration network: `name` and its options.
        objective: what is minimised: `name` and its options.
        training: how long and how fast.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    task: str = "denoise"
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data
    degradation: Annotated[dict[str, Any], _part(_options(degradations.DEGRADATIONS))]
    network: Annotated[dict[str, Any], _part(networks.check)]
    objective: Annotated[dict[str, Any], _part(_options(adaptation.OBJECTIVES))]
    training: Training

    @pydantic.model_validator(mode="before")
    @classmethod
    def _same_value_range(cls, given: Any) -> Any:
        """An objective that does not say computes its losses in the network's value range."""
        if not isinstance(given, dict):
            return given
        network, objective = given.get("network"), given.get("objective")
        objective = {"name": objective} if isinstance(objective, str) else objective
        if isinstance(network, dict) and "value_range" in network and isinstance(objective, dict):
            objective = {"value_range": network["value_range"], **objective}
            return {**given, "objective": objective}
        return given

    @pydantic.field_validator("task")
    @classmethod
    def _known_task(cls, task: str) -> str:
        if task not in TASKS:
            raise ValueError(f"unknown task{did_you_mean(task, TASKS)}")
        return task

    @property
    def steps(self) -> int:
        """Optimiser steps: enough for `training.images`."""
        return -(-self.training.images // self.data.batch)

    def every(self, images: int) -> int:
        """An interval in images as one in steps, at least 1."""
        return max(1, round(images / self.data.batch))

    def dump(self) -> dict[str, Any]:
        """As plain values, for YAML and JSON."""
        return self.model_dump(mode="json")

    def shareable(self) -> dict[str, Any]:
        """`dump`, with the names alone of folders and files: a model file that is passed on tells
        what it was trained on, not where that lies on somebody's disk."""
        return _names_alone(self.model_dump())

    def to_yaml(self) -> str:
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(OmegaConf.create(self.dump()))


def _names_alone(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, dict):
        return {key: _names_alone(item) for key, item in value.items()}
    return [_names_alone(item) for item in value] if isinstance(value, list | tuple) else value


def shipped() -> dict[str, Path]:
    """The recipes inside the package, by name."""
    folder = Path(__file__).parent.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by name or from a YAML file, with overrides.

    Args:
        source: name of a shipped recipe, or a file.
        overrides: `key.sub=value`, the value in YAML.

    Raises:
        OptionError: no such recipe, broken YAML, an unknown key, a wrong type or value.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    # OmegaConf reports a file of another type by OSError, incompatible merges by TypeError
    broken = (OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError)

    known = shipped()
    path = known.get(str(source), Path(source))
    if not path.is_file():
        hint = did_you_mean(str(source), known)
        raise OptionError(f"{source}: no such recipe file, and no shipped recipe{hint}")
    try:
        merged = OmegaConf.load(path)
    except broken as error:
        raise OptionError(f"{path}: not valid YAML: {_one_line(error)}") from None
    if not isinstance(merged, DictConfig):
        raise OptionError(f"{path}: not a recipe: it holds a list, not keys with values")
    for override in overrides:
        if "=" not in override:
            raise OptionError(f"--set {override}: expected key=value, for example data.batch=16")
        try:
            merged = OmegaConf.merge(merged, OmegaConf.from_dotlist([override]))
        except broken as error:
            raise OptionError(f"--set {override}: {_one_line(error)}") from None
    try:
        content = OmegaConf.to_container(merged, resolve=True)
    except broken as error:
        raise OptionError(f"{path}: {_one_line(error)}") from None
    try:
        return Recipe.model_validate(content)
    except pydantic.ValidationError as error:
        raise OptionError(f"{source}: {explain(error, Recipe)}") from None
    except OptionError as error:
        raise OptionError(f"{source}: {error}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
