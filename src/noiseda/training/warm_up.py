"""The part of a run before its targets: the network learns the photos' measured noise."""

from __future__ import annotations

import copy
import io
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from noiseda import degradations
from noiseda.console import progress_bar
from noiseda.data import Store, TrainingSamples
from noiseda.files import write_whole
from noiseda.judgement import Judging, Verdict, judge, kept_share
from noiseda.measurement import evenly, is_faint, is_strong, matched_options
from noiseda.training.module import TrainingModule
from noiseda.training.sources import measured_noise

_NOISE, _START, VERDICT = "noise.json", "start.pt", "verdict.json"
# so many photos tell what the network keeps, and are judged on
_LOOKED_AT = 8
# of the noise, from which on a network leaves it: of the sets of studies/adapt it keeps 0.02 to
# 0.14 or, of what a telephone has processed and of film, 0.42 (of four photos) to 0.88
_MOST_KEPT = 0.3
# of the photos with weak noise may be unevenly noisy; of PolyU, where measured noise misleads, most
# are
_MOST_UNEVEN = 0.2


class WarmUp:
    """Measured noise over the clean images, where it is strong or unknown to the network, and the
    judge has not refused it.

    Where noise is strong, or such that the network leaves most of it, what it knows of noise
    decides: from restorations that are hardly better than the photos it would learn to leave it.
    Else what it knows of content does, and from the photos' correlated noise over the source's
    textures it learns to leave both alone. The judge does not see that, as it believes in the same
    measured noise (studies/adaptation).

    What is measured and decided is kept in the folder, so that a continued run goes on alike.

    Attributes:
        worthwhile: whether the photos' noise is strong, or well measured and mostly left by the
            network.

    Args:
        network: as the run begins.
        samples: the run's; their degradation is replaced.
        photos: to measure and to judge on.
        until: step at which the warm-up ends.
        folder: for what is kept.
        of_photos: whether its pairs show the photos; then strong noise alone is no reason for it,
            and it is not judged.

    Raises:
        DataError: no photo is large enough to be measured.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        network: nn.Module,
        samples: TrainingSamples,
        photos: Store,
        until: int,
        folder: Path,
        of_photos: bool = False,
    ) -> None:
        self.samples = samples
        self.photos = photos
        self.until = until
        self.folder = folder
        self.of_photos = of_photos
        self._given = samples.degradation
        path = folder / _NOISE
        if not path.is_file():
            noise = measured_noise(photos)
            options = matched_options(noise)
            strong = is_strong(noise) and not of_photos
            # beside strong noise there is little texture that could be taken for it
            clear = is_strong(noise) or noise.uneven <= _MOST_UNEVEN * noise.photos
            kept = None
            if not strong and not is_faint(noise) and clear:
                kept = kept_share(network, self._chosen(), options)
            found = {"strong": strong, "kept": kept, "matched": options}
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(found).encode())
        found = json.loads(path.read_text())
        self.worthwhile: bool = found["strong"] or (found.get("kept") or 0.0) > _MOST_KEPT
        self._options: dict[str, Any] = found["matched"]
        self._measured = degradations.build("matched", **self._options)

    def begin(self, module: TrainingModule) -> None:
        """Give the samples the measured noise; keep the weights that may be gone back to."""
        self.samples.degradation = self._measured
        if self.of_photos:
            return
        path = self.folder / _START
        if not path.is_file():
            # nothing is trained before this file is there
            content = io.BytesIO()
            torch.save(module.state_dict(), content)
            write_whole(path, content.getvalue())

    def end(self, step: int, module: TrainingModule) -> None:
        """Decide, once, whether the run goes on from here or from before the warm-up.

        Args:
            step: steps done; at the end of the warm-up or after it.
            module: of the run, with the weights of the step where this is not decided yet; if the
                warm-up is refused and has just ended, it gets those of before.
        """
        if self.of_photos:
            self.samples.degradation = self._given
            return
        self.begin(module)
        path = self.folder / VERDICT
        before = torch.load(self.folder / _START, map_location="cpu", weights_only=True)
        if not path.is_file():
            began = time.perf_counter()
            verdict = self._verdict(module, before)
            content = {**asdict(verdict), "seconds": time.perf_counter() - began}
            write_whole(path, json.dumps(content).encode())
        if json.loads(path.read_text())["kind"] == "better":
            return
        self.samples.degradation = self._given
        if step == self.until:
            module.go_back(before, step)

    def _verdict(self, module: TrainingModule, before: dict[str, Any]) -> Verdict:
        """Of the averaged network, against that of before."""
        start = copy.deepcopy(module.averaged)
        prefix = "average.module."
        weights = {name: value for name, value in before.items() if name.startswith(prefix)}
        start.load_state_dict({name.removeprefix(prefix): v for name, v in weights.items()})
        judging = Judging(start, module.averaged, self._options)
        risks = []
        with progress_bar("photos") as bar:
            chosen = self._chosen()
            task = bar.add_task("judging the warm-up", total=len(chosen), note="")
            for photo in chosen:
                risks.append(judging.risk(photo))
                bar.advance(task)
        return judge([risk for risk in risks if risk is not None])

    def _chosen(self) -> list[np.ndarray]:
        """The photos that are looked at."""
        return [np.asarray(self.photos[n]) for n in evenly(range(len(self.photos)), _LOOKED_AT)]
