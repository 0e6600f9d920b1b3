"""Wall time of trainings: what a step takes, measured before, and what a training took."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning

from noiseda.comparison.methods import Method
from noiseda.console import passing, progress_bar
from noiseda.files import write_whole
from noiseda.training import Recipe, judging_seconds, teaching_seconds, train

SECONDS = "seconds.json"
_ROUNDS = 3
# of each trial: steps that are not timed, those of the first round, the most of any, and how long
# the timed ones of the later rounds should take together
_WARM_UP, _FIRST, _MOST, _SECONDS = 2, 4, 40, 2.0
# windows that targets are made of in a trial
_WINDOWS = 4


class Clock(lightning.Callback):
    """Counts the seconds of a training, over all its interruptions: those that a killed process
    spent after its last checkpoint are not counted, as its steps are done again.

    Args:
        folder: the run folder, which gets `seconds.json` when the training ends.
        advance: called after each step.
    """

    def __init__(self, folder: Path, advance: Callable[[], None]) -> None:
        self.folder = folder
        self.advance = advance
        self._before = 0.0
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._began

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.advance()

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        # before the model is written: a finished run has it
        write_whole(self.folder / SECONDS, json.dumps({"seconds": self.seconds}).encode())

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._before = state_dict["seconds"]


def seconds_of(folder: Path) -> float | None:
    """What a finished training took, with the making of targets; None if it was not this module
    that watched it."""
    try:
        steps = float(json.loads((folder / SECONDS).read_text())["seconds"])
        return steps + teaching_seconds(folder) + judging_seconds(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Pace(lightning.Callback):
    """The moments at which steps end."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # a number from the device: the step is done, not only begun
        float(outputs["loss"])
        self.moments.append(time.perf_counter())


@dataclass(frozen=True)
class Speed:
    """What a method takes: seconds of a training step, and of making its targets, over all
    rounds."""

    step: float
    teaching: float = 0.0


def measure(methods: Sequence[Method]) -> dict[str, Speed]:
    """What each method takes: the median of short trainings, in turn, so that what slows the
    machine down for a while slows all of them. Nothing of them is kept.

    Raises:
        NoiseDAError: a method cannot be trained.
    """
    found: dict[str, list[float]] = {method.name: [] for method in methods}
    teaching: dict[str, list[float]] = {method.name: [] for method in methods}
    with progress_bar("trials") as bar, passing():
        task = bar.add_task("measuring speeds", total=_ROUNDS * len(methods), note="")
        for _ in range(_ROUNDS):
            for method in methods:
                bar.update(task, note=method.name)
                steps, targets = _trial(method.recipe, _length(found[method.name]))
                found[method.name] += steps
                teaching[method.name].append(targets)
                bar.advance(task)
    return {
        name: Speed(statistics.median(seconds), statistics.median(teaching[name]))
        for name, seconds in found.items()
    }


def _length(known: Sequence[float]) -> int:
    """Timed steps of a trial, from the times of earlier ones."""
    if not known:
        return _FIRST
    wanted = math.ceil(_SECONDS / max(statistics.median(known), 1e-6))
    return min(max(wanted, _FIRST), _MOST)


def _trial(recipe: Recipe, steps: int) -> tuple[list[float], float]:
    """Seconds of each step, and of making the targets."""
    images = (_WARM_UP + steps) * recipe.data.batch
    training = recipe.training.model_copy(update={"images": images, "checkpoint_every": 10**9 - 1})
    update: dict[str, Any] = {"training": training}
    share = 1.0
    if "windows" in recipe.objective:
        # all of them would take longer than the rest of the trial
        windows, rounds = recipe.objective["windows"], recipe.objective["rounds"]
        # the steps of a warm-up take less time than others, which judging it takes instead
        changes = {"windows": min(windows, _WINDOWS), "rounds": 1, "warm_up": 0.0}
        known = {key: value for key, value in changes.items() if key in recipe.objective}
        update["objective"] = {**recipe.objective, **known}
        share = rounds * windows / min(windows, _WINDOWS)
    pace = _Pace()
    with tempfile.TemporaryDirectory(prefix="noiseda-") as folder:
        run = Path(folder) / "run"
        if not train(recipe.model_copy(update=update), run, "trying", [pace]).finished:
            raise KeyboardInterrupt
        teaching = share * teaching_seconds(run)
    moments = pace.moments[_WARM_UP - 1 :]
    return [end - begin for begin, end in itertools.pairwise(moments)], teaching
