"""A recipe says all that a training run needs; it is one YAML file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import torch
from omegaconf import OmegaConf
from pydantic import AfterValidator, BeforeValidator, Field

from noiseda import adaptation, degradations, networks
from noiseda.checkpoint import TASKS
from noiseda.data import AbsolutePath
from noiseda.degradations.base import ordered
from noiseda.errors import OptionError, did_you_mean
from noiseda.training.fields import (
    Degraded,
    Factor,
    Folders,
    Images,
    Many,
    One,
    options_of,
    part,
    selections,
)


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)


class Validation(_Strict):
    """Images with ground truth, for scoring only; pairs by relative path."""

    degraded: One
    clean: AbsolutePath


class Pair(_Strict):
    """Degraded images and the clean ones they were made from; pairs by relative path."""

    degraded: One
    clean: AbsolutePath


Pairs = Annotated[list[Pair], BeforeValidator(selections)]


class Data(_Strict):
    """Folders of images and how crops are taken from them.

    Attributes:
        clean: clean source images; all objectives need them, or `pairs`, but those that make their
            own (`content: photos`) from the beginning.
        pairs: source images with their degraded counterparts, instead of `clean`.
        real: unlabeled real photos of the target.
        unpaired: clean images of another collection, for the unpaired mode.
        truth: ground truth of `real`, a folder for each of its entries, paired by relative path;
            only the objective "supervised" sees it.
        validation: images with ground truth; never trained on.
        enlarge: range of the factor by which clean images are enlarged before they are degraded,
            log-uniform, drawn once a sample. A photo at full size is softer, pixel by pixel, than
            the small images that sets of clean ones hold; a network that has seen only those takes
            coarse noise for detail (studies/adaptation).
        patch: height and width of crops, in pixels.
        batch: samples of a step, over all devices.
        workers: loader processes; None for a number that fits the machine.
        cache: folder for decoded images; None for the user's cache folder.
    """

    clean: Many = []
    pairs: Pairs = []
    real: Many = []
    unpaired: Many = []
    truth: Folders = []
    validation: Validation | None = None
    enlarge: Annotated[tuple[Factor, Factor], AfterValidator(ordered)] = (1.0, 1.0)
    patch: Annotated[int, Field(ge=8, le=4096)] = 64
    batch: Annotated[int, Field(ge=1, le=65536)] = 8
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    cache: AbsolutePath | None = None


class Training(_Strict):
    """How long and how fast. Everything that has a length is counted in images (samples).

    Attributes:
        images: samples to train on.
        learning_rate: of Adam, for all networks.
        schedule: "constant", or "cosine": the learning rate falls to nothing along half a cosine,
            which lets a network that was trained to the end settle again.
        ema_halflife: after how many images a weight's influence on the average has halved.
        clip_norm: greatest gradient norm, of each network alone; None for no limit.
        checkpoint_every, validate_every, log_every: intervals in images.
        images_every: interval in images at which TensorBoard gets pictures of the batch.
        start: model file (or weights file that spandrel recognises) whose weights the restoration
            network starts from, and the noise predictor, if the file holds one and the objective
            has one.
        precision: of computation, as Lightning names it; "16-mixed" on CUDA alone.
        accumulate: in how many parts, one after the other, each device computes its share of the
            batch: so many times less memory, the same step (see docs/scale.md).
        compile: compile the networks with torch.compile.
        channels_last: keep images and weights in the memory format that convolutions run fastest
            in on CPUs and tensor cores.
        devices: how many; "auto" for all accelerators, or one CPU process.
        nodes: machines of a distributed run.
    """

    images: Images
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    ema_halflife: Annotated[float, Field(gt=0)] = 4000
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    checkpoint_every: Images = 4000
    validate_every: Images = 8000
    log_every: Images = 400
    images_every: Images = 8000
    start: AbsolutePath | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accumulate: Annotated[int, Field(ge=1, le=65536)] = 1
    compile: bool = False
    channels_last: bool = True
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    nodes: Annotated[int, Field(ge=1, le=65536)] = 1


class Compare(_Strict):
    """What `noiseda compare` adds to the recipe; a training does not look at it.

    Attributes:
        images: samples of each continuation at equal steps; None for `training.images`.
        training: keys of `training` that differ in all continuations.
        methods: by name, the options of the method's objective; beside them `name`, if the
            objective is called otherwise than the method; `training`, keys that differ;
            `degradation` and `enlarge`, if its synthetic images are made otherwise; and `network`,
            if the method needs another, which it trains from the beginning (for an objective that
            cannot train the recipe's, that is its own in its published size).
        source: clean images that no training sees, to measure what is lost on the source.
        source_images: how many of them are used at most.
    """

    images: Images | None = None
    training: dict[str, Any] = {}
    methods: dict[str, dict[str, Any] | None] = {}
    source: Many = []
    source_images: Annotated[int, Field(ge=1)] = 8


class Recipe(_Strict):
    """Everything a run needs.

    Attributes:
        name: for the run folder and reports.
        task: "denoise", "derain" or "deblur".
        seed: every random draw of the run derives from it.
        data: where images come from.
        degradation: makes the synthetic image from `data.clean`: `name` and its options. Images of
            `data.pairs` are degraded already. In a file, "measured" is noise as it is measured in
            `data.real`.
        network: the restoration network: `name` and its options. In a file, "start" is the network
            of the file `training.start`.
        objective: what is minimised: `name` and its options.
        training: how long and how fast.
        compare: what methods are compared, if they are.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    task: str = "denoise"
    seed: Annotated[int, Field(ge=0)] = 0
    data: Data
    degradation: Degraded | None = None
    network: Annotated[dict[str, Any], part(networks.check)]
    objective: Annotated[dict[str, Any], part(options_of(adaptation.OBJECTIVES))]
    training: Training
    compare: Compare | None = None

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

    @pydantic.model_validator(mode="after")
    def _buildable(self) -> Self:
        """What only the parts' constructors find, and whether the parts fit together."""
        # without memory: for their checks alone
        with torch.device("meta"):
            objective = _build(adaptation.build, self.objective)
        self._check_source(objective)
        if self.data.patch % objective.patch_multiple:
            raise OptionError(
                f"data.patch {self.data.patch} must be a multiple of {objective.patch_multiple}, "
                "because the noise predictor halves it at each of its levels"
            )
        return self

    def _check_source(self, objective: adaptation.Objective) -> None:
        """Whether clean and synthetic images can be had, and are of the recipe's task."""
        clean, pairs = self.data.clean, self.data.pairs
        if pairs and clean:
            raise OptionError(
                "data.clean and data.pairs are both given; leave one of them out: clean images are "
                "degraded, pairs are so already"
            )
        if pairs and max(self.data.enlarge) > 1:
            raise OptionError(
                "data.enlarge is of clean images before they are degraded; leave it out with "
                "data.pairs"
            )
        if pairs and objective.warm_up:
            raise OptionError(
                "objective.warm_up lays noise over clean images; give data.clean instead of "
                "data.pairs, or leave warm_up out"
            )
        if objective.needs_source and not (clean or pairs):
            instead = "leave objective.warm_up out" if objective.warm_up else "data.pairs"
            raise OptionError(f"'data.clean' is missing; give clean images there, or {instead}")
        if self.degradation is None:
            if not (pairs and objective.from_source):
                raise OptionError("'degradation' is missing")
            return
        tasks = _build(degradations.build, self.degradation).tasks
        if not pairs and self.task not in tasks:
            raise OptionError(
                f"task {self.task!r} does not fit degradation {self.degradation['name']!r}, which "
                f"is for {', '.join(sorted(tasks))}; change one of them, or mix degradations with "
                "'mixture'"
            )

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
        """As a file that `read_recipe` gives back unchanged."""
        return OmegaConf.to_yaml(OmegaConf.create(_escaped(self.dump())))


def _names_alone(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, dict):
        return {key: _names_alone(item) for key, item in value.items()}
    return [_names_alone(item) for item in value] if isinstance(value, list | tuple) else value


def _build(build: Callable[..., Any], part: dict[str, Any]) -> Any:
    options = dict(part)
    return build(options.pop("name"), **options)


def _escaped(value: Any) -> Any:
    """With a backslash before each "${" in texts, which OmegaConf would take for a reference."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value
