"""How long each method trains, and the run folders that follow from it.

The lengths are decided once and kept in the comparison's folder, so that the same command, given
again, continues the same comparison.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noiseda.comparison.alike import differences, digest
from noiseda.comparison.clock import Speed
from noiseda.comparison.measure import VIEWS
from noiseda.comparison.methods import START, VANILLA, Method, pretraining
from noiseda.errors import OptionError, RunError
from noiseda.files import write_whole
from noiseda.training import Recipe, read_recipe
from noiseda.training.folder import RECIPE

FILE = "plan.json"
# between the seeds of the pretrainings and those of what continues them, which must not see the
# same samples again
_CONTINUED = 1000
# of a plan, what is not asked for
_MEASURED = ("seconds", "speeds", "teaching", "recipes")


@dataclass(frozen=True)
class Asked:
    """What lengths the user wants.

    Attributes:
        images: of each continuation at equal steps.
        minutes: of each continuation at equal wall time; None for as long as the slowest method
            takes for `images`.
        start: the model that all continue from; None if a vanilla network is trained for it.
    """

    images: int
    minutes: float | None = None
    start: str | None = None


@dataclass
class Plan:
    """The lengths of a comparison.

    Attributes:
        asked: what they follow from.
        batch: samples of a step.
        seconds: of each continuation at equal wall time.
        speeds: by method, seconds of a training step, measured in turn with nothing else running.
        teaching: by method, seconds of making its targets, of those that make any.
        recipes: by method, a digest of the recipe that the speed is of.
    """

    asked: Asked
    batch: int
    seconds: float = 0.0
    speeds: dict[str, float] = field(default_factory=dict)
    teaching: dict[str, float] = field(default_factory=dict)
    recipes: dict[str, str] = field(default_factory=dict)

    def steps(self, method: str, view: str) -> int:
        """Optimiser steps of a continuation."""
        if view == "equal-steps":
            return -(-self.asked.images // self.batch)
        training = self.seconds - self.teaching.get(method, 0.0)
        return max(1, round(training / self.speeds[method]))

    def duration(self, method: str, steps: int) -> float:
        """Seconds that so many steps take, and what comes before them."""
        if method == START:
            method = VANILLA
        return steps * self.speeds[method] + (self.teaching.get(method, 0.0) if steps else 0.0)

    def unmeasured(self, methods: Sequence[Method]) -> list[Method]:
        """Those whose speed is not known, or is that of another recipe."""
        return [m for m in methods if self.recipes.get(m.name) != digest(m.recipe)]

    def note(self, methods: Sequence[Method], speeds: dict[str, Speed]) -> None:
        """Add measured speeds. What was planned before keeps its length: speeds of a later
        measurement are brought to the scale of the first by the vanilla network's, which takes
        part in every one; the first decides how long the equal time is."""
        first = not self.speeds
        scale = 1.0 if first else self.speeds[VANILLA] / speeds[VANILLA].step
        for method in methods:
            if first or method.name != VANILLA:
                name, speed = method.name, speeds[method.name]
                self.speeds[name] = scale * speed.step
                self.recipes[name] = digest(method.recipe)
                self.teaching.pop(name, None)
                if speed.teaching:
                    self.teaching[name] = scale * speed.teaching
        if first:
            steps = self.steps(VANILLA, "equal-steps")
            self.seconds = max(self.duration(name, steps) for name in self.speeds)
            if self.asked.minutes is not None:
                self.seconds = 60 * self.asked.minutes

    def measured(self) -> dict[str, Any]:
        """What was measured, without what was asked; for `take`."""
        return {key: getattr(self, key) for key in _MEASURED}

    def take(self, measured: Mapping[str, Any]) -> None:
        """Plan by what was measured elsewhere; what is asked for now stays."""
        for key in _MEASURED:
            setattr(self, key, copy.deepcopy(measured[key]))
        if self.asked.minutes is not None:
            self.seconds = 60 * self.asked.minutes

    def write(self, folder: Path) -> None:
        write_whole(folder / FILE, (json.dumps(asdict(self), indent=1) + "\n").encode())


def read_plan(folder: Path, asked: Asked, batch: int) -> Plan:
    """The plan in a comparison's folder; an empty one if there is none yet.

    Raises:
        RunError: the folder holds something else, or a comparison of other lengths.
    """
    path = folder / FILE
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} exists already and is no comparison; choose another with -o")
        return Plan(asked, batch)
    try:
        content = json.loads(path.read_text())
        plan = Plan(**{**content, "asked": Asked(**content["asked"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise RunError(f"{path}: damaged; choose another folder with -o") from None
    before, now = {**asdict(plan.asked), "batch": plan.batch}, {**asdict(asked), "batch": batch}
    names = {"images": "--images", "minutes": "--minutes", "start": "training.start"}
    for key, value in now.items():
        if value != before[key]:
            raise RunError(
                f"{folder}: this comparison has {names.get(key, 'data.batch')} "
                f"{_shown(before[key])}, not {_shown(value)}; undo that, or choose another folder "
                "with -o"
            )
    return plan


@dataclass(frozen=True)
class Cell:
    """One training: a run folder.

    Attributes:
        method: its name; `START` for the pretraining.
        seed: of the comparison, not of the run.
        recipe: resolved.
        folder: where it is or will be.
        views: in which it stands; both, if its two lengths are the same.
    """

    method: str
    seed: int
    recipe: Recipe
    folder: Path
    views: tuple[str, ...]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.method}, seed {self.seed}, {self.recipe.steps} steps"


@dataclass(frozen=True)
class Layout:
    """Where the trainings of a comparison are, and by which recipes.

    Attributes:
        folder: of the comparison.
        recipe: that it was given.
        methods: that are trained.
        seeds: of the comparison.
    """

    folder: Path
    recipe: Recipe
    methods: Sequence[Method]
    seeds: Sequence[int]

    def cells(self, plan: Plan, views: Sequence[str] = tuple(VIEWS)) -> list[Cell]:
        """All trainings that these views need, in an order in which they can be done.

        Raises:
            OptionError: a training would be longer than any may be.
        """
        found: list[Cell] = []
        for seed in self.seeds:
            if self.recipe.training.start is None:
                found.append(self._pretraining(seed))
            for method in self.methods:
                lengths: dict[int, list[str]] = {}
                for view in views:
                    lengths.setdefault(plan.steps(method.name, view), []).append(view)
                found += [
                    self._continuation(method, seed, steps, tuple(shown))
                    for steps, shown in lengths.items()
                ]
        return found

    def begun(self) -> list[Cell]:
        """The trainings of these methods and seeds that are there, of whatever length.

        Raises:
            RunError: one of them is by another recipe; the message names its folder and the key.
        """
        found: list[Cell] = []
        for seed in self.seeds:
            if self.recipe.training.start is None:
                found.append(self._pretraining(seed))
            for method in self.methods:
                for path in sorted((self._home(seed) / method.name).glob("*-steps")):
                    length = path.name.removesuffix("-steps")
                    if length.isdigit() and int(length):
                        found.append(self._continuation(method, seed, int(length), ()))
        found = [cell for cell in found if (cell.folder / RECIPE).is_file()]
        for cell in found:
            _refuse_misfit(cell)
        return found

    def start(self, seed: int) -> Path:
        """The model that the methods continue from."""
        return self.recipe.training.start or self._home(seed) / START

    def _home(self, seed: int) -> Path:
        return self.folder.absolute() / f"seed-{seed}"

    def _pretraining(self, seed: int) -> Cell:
        resolved = _with(pretraining(self.recipe), START, seed, self.recipe.training.images, None)
        return Cell(START, seed, resolved, self._home(seed) / START, tuple(VIEWS))

    def _continuation(self, method: Method, seed: int, steps: int, views: tuple[str, ...]) -> Cell:
        images = steps * self.recipe.data.batch
        start = self.start(seed) if method.from_start else None
        resolved = _with(method.recipe, method.name, seed + _CONTINUED, images, start)
        folder = self._home(seed) / method.name / f"{steps}-steps"
        return Cell(method.name, seed, resolved, folder, views)


def _with(recipe: Recipe, name: str, seed: int, images: int, start: Path | None) -> Recipe:
    if images >= 10**9:
        raise OptionError(
            f"method {name!r}: {images} images are more than a training can have; lower --images "
            "or --minutes"
        )
    training = recipe.training.model_copy(update={"images": images, "start": start})
    return recipe.model_copy(update={"seed": seed, "training": training, "name": name})


def _refuse_misfit(cell: Cell) -> None:
    different = next(differences(read_recipe(cell.folder / RECIPE), cell.recipe), None)
    if different is not None:
        key, old, new = different
        raise RunError(
            f"{cell.folder}: its training has {key} {_shown(old)}, not {_shown(new)}; undo that, "
            "or choose another folder with -o"
        )


def _shown(value: Any) -> str:
    text = "unset" if value in (None, [], {}) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
