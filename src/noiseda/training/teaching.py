"""Targets that an objective makes of the photos with the network itself, anew in each round."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noiseda import images, runtime
from noiseda.console import progress_bar
from noiseda.data import (
    TrainingSamples,
    Window,
    continue_store,
    cut,
    window_store,
    write_store,
)
from noiseda.errors import RunError
from noiseda.files import write_whole
from noiseda.training.module import TrainingModule
from noiseda.training.warm_up import VERDICT, WarmUp

FOLDER = "targets"
_PHOTOS, _WINDOWS = "photos.bin", "windows.json"
SIZE = 256
# the round of the warm-up, and how small restorations are shown in it
_BEFORE, _SHRUNK = -1, (0.25, 0.5)


class Teaching:
    """The rounds of a run.

    The run folder gets the windows of the photos and the newest targets, so that a run that is
    continued learns from the same, whatever has become of the photos; of targets that were being
    made only the rest is made then.

    Args:
        module: of the run, as it begins; its objective makes the targets.
        samples: the run's; its photos are replaced by windows of them when a round begins.
        steps: of the whole run.
        folder: the run folder.
        most: windows to use at most, for a trial.
    """

    def __init__(
        self,
        module: TrainingModule,
        samples: TrainingSamples,
        steps: int,
        folder: Path,
        most: int | None = None,
    ) -> None:
        photos = samples.stores["real"]
        assert photos is not None
        self.objective = objective = module.objective
        self.samples = samples
        self.photos = photos
        # each process of a run on several devices makes its own, at the same time
        rank = rank_zero_only.rank or 0
        self.folder = folder / FOLDER / (f"rank-{rank}" if rank else "")
        first = round(objective.warm_up * steps) if most is None else 0
        self.warm_up = self._warm_up(module, first) if first else None
        if self.warm_up is None:
            first = 0
        rounds = range(objective.rounds)
        # a short run has fewer rounds
        self.starts = sorted({first + (steps - first) * n // objective.rounds for n in rounds})
        self.steps = steps
        self.windows = self._cut() or cut(
            photos.shapes, most or objective.windows, SIZE, samples.seed
        )

    def _warm_up(self, module: TrainingModule, until: int) -> WarmUp | None:
        """None if the photos' noise is not worth one."""
        try:
            found = WarmUp(
                module.averaged,
                self.samples,
                self.photos,
                until,
                self.folder,
                self.objective.warms_with_photos,
            )
        except OSError as error:
            raise self._unwritable(error) from None
        return found if found.worthwhile else None

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"{self.folder}: cannot write the targets: {error.strerror}; free space, then continue"
        )

    def begin(self, step: int, module: TrainingModule, checkpoint: Path | None) -> int:
        """Give the samples the targets of the round that `step` lies in, made if need be.

        Args:
            step: steps done.
            module: of the run; its averaged network makes the targets.
            checkpoint: of that step, which the module's weights may not be those of; None if they
                are.

        Returns:
            The step at which the round ends.

        Raises:
            RunError: the folder cannot be written.
        """
        try:
            if self.warm_up and step < self.warm_up.until:
                self.warm_up.begin(module)
                if self.warm_up.of_photos:
                    self._show_restorations(module)
                return self.warm_up.until
            number = sum(start <= step for start in self.starts) - 1
            path = self.folder / f"{number}.bin"
            if checkpoint is not None and not path.is_file():
                kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
                module.load_state_dict(kept["state_dict"])
            if self.warm_up:
                self.warm_up.end(step, module)
            if not path.is_file():
                self._make(path, number, module)
        except OSError as error:
            raise self._unwritable(error) from None
        taught = window_store(path, self.windows)
        self.samples.stores["real"] = window_store(self.folder / "photos.bin", self.windows)
        self.samples.stores["taught"] = taught
        if not self.objective.from_source:
            self.samples.stores["clean"] = taught
            # photos are as soft as photos are, and their restorations softer
            self.samples.resize = (1 / self.objective.shrink, 1.0)
        return [*self.starts, self.steps][number + 1]

    def _show_restorations(self, module: TrainingModule) -> None:
        """The warm-up's pairs are of what the network makes of the photos as the run begins."""
        path = self.folder / f"{_BEFORE}.bin"
        if not path.is_file():
            self._make(path, _BEFORE, module)
        self.samples.stores["clean"] = window_store(path, self.windows)
        self.samples.resize = _SHRUNK

    @property
    def makings(self) -> int:
        """How often the targets are made."""
        return len(self.starts) + (self.warm_up is not None and self.warm_up.of_photos)

    def _cut(self) -> list[Window]:
        """The windows that were cut before the run was interrupted."""
        if not (self.folder / _PHOTOS).is_file():
            return []
        found = json.loads((self.folder / _WINDOWS).read_text())
        return [Window(**window) for window in found]

    def _make(self, path: Path, number: int, module: TrainingModule) -> None:
        began = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        photos = self.folder / _PHOTOS
        if not photos.is_file():
            windows = json.dumps([asdict(window) for window in self.windows])
            write_whole(self.folder / _WINDOWS, windows.encode())
            write_store(photos, (window.of(self.photos) for window in self.windows))
        made = self._teach(path, number, module)
        (self.folder / f"{number - 1}.bin").unlink(missing_ok=True)
        # what was made before an interruption took as long
        seconds = (time.perf_counter() - began) * len(self.windows) / max(made, 1)
        write_whole(path.with_suffix(".json"), json.dumps({"seconds": seconds}).encode())

    def _teach(self, path: Path, number: int, module: TrainingModule) -> int:
        """Make those targets that are not there yet; how many these were."""
        photos = window_store(self.folder / _PHOTOS, self.windows)
        device = runtime.best_device()
        network = runtime.fast_layout(copy.deepcopy(module.averaged).to(device)).eval()
        done = number + 1 + self.makings - len(self.starts)
        rounds = f" {done}/{self.makings}" if self.makings > 1 else ""
        with progress_bar("windows") as bar:
            task = bar.add_task(f"making targets{rounds}", total=len(photos), note="")

            def target(index: int) -> np.ndarray:
                # what was made before does not tell the speed, so it is not "advanced"
                bar.update(task, completed=index)
                photo = images.to_tensor(photos[index]).to(
                    device, memory_format=torch.channels_last
                )
                return images.to_pixels(self.objective.teach(network, photo).cpu())

            made = continue_store(path, self.windows, target)
            bar.update(task, completed=len(photos))
        return made


def teaching_seconds(folder: Path) -> float:
    """How long the targets of a run took to make, over all rounds; 0 if it has none."""
    found = (folder / FOLDER).glob("*[0-9].json")
    return sum(float(json.loads(path.read_text())["seconds"]) for path in found)


def making_seconds(folder: Path) -> float:
    """How long the last of them took to make; 0 if there are none."""
    found = sorted((folder / FOLDER).glob("*[0-9].json"), key=lambda path: int(path.stem))
    return float(json.loads(found[-1].read_text())["seconds"]) if found else 0.0


def judging_seconds(folder: Path) -> float:
    """How long it took to judge a run's warm-up; 0 if it had none."""
    found = folder / FOLDER / VERDICT
    return float(json.loads(found.read_text())["seconds"]) if found.is_file() else 0.0
