"""A run folder becomes a diagnosis: numbers, a page of plots, and what they say."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noiseda import runtime
from noiseda.console import progress_bar
from noiseda.diagnosis import plots
from noiseda.diagnosis.conditions import KINDS, measure_conditions
from noiseda.diagnosis.drawing import Drawing, draw, picture
from noiseda.diagnosis.drawing import content as told
from noiseda.diagnosis.gradients import BOX, measure_gradients
from noiseda.diagnosis.levels import noise_levels
from noiseda.diagnosis.opening import OpenedRun, open_run
from noiseda.diagnosis.samples import Samples, read_samples
from noiseda.diagnosis.summary import condition_tables, gradient_tables
from noiseda.diagnosis.verdict import verdict
from noiseda.diffusion import levels
from noiseda.errors import OptionError, RunError
from noiseda.files import write_whole
from noiseda.images import write as write_image

FOLDER = "diagnosis"
JSON, PLOTS, TEXT = FILES = ("diagnosis.json", "diagnosis.png", "diagnosis.md")
DRAWN = "samples.png"


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        folder: with `diagnosis.json`, `diagnosis.png` and `diagnosis.md`, and `samples.png` if
            images were drawn.
        content: as in `diagnosis.json`; its `verdict` is lines of text.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def verdict(self) -> list[str]:
        return self.content["verdict"]


def diagnose(
    folder: Path,
    output: Path | None = None,
    *,
    images: int = 32,
    seed: int = 0,
    patch: int | None = None,
    checkpoint: Path | None = None,
    averaged: bool = False,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    drawing: Drawing | None = None,
) -> Diagnosis:
    """Look into a run of the objective "noise-space"; the same arguments give the same numbers.

    Args:
        folder: of the run.
        output: folder for the results; `diagnosis` in the run folder if None.
        images: samples to look at, see `read_samples`; at least 2.
        seed: of all draws.
        patch: height and width of crops; as in the run, rounded down to what fits, if None.
        checkpoint, averaged, overrides: see `open_run`.
        overwrite: replace an earlier diagnosis there.
        drawing: images to draw from the noise predictor, at most as many as `images`; None for
            none.

    Raises:
        NoiseDAError: the run, its data or the output folder cannot be used, or matplotlib is
            missing.
    """
    if images < 2:
        raise OptionError(f"images {images}: at least 2, as one sample's image replaces another's")
    if drawing is not None and not 1 <= drawing.count <= images:
        raise OptionError(f"samples {drawing.count}: from 1 to {images}, the images looked at")
    plots.require()
    output = output or folder / FOLDER
    _refuse_existing(output, overwrite)
    runtime.prepare()
    run = open_run(folder, overrides, checkpoint, averaged)
    if drawing is not None:
        # refused now and not after minutes of measuring
        levels(run.objective.schedule, drawing.steps)
    patch = _patch(run, patch)
    with progress_bar("images") as bar:
        task = bar.add_task("reading images", total=images, note="")
        unpaired = run.objective.mode == "unpaired"
        samples = read_samples(run.recipe, images, patch, seed, unpaired, lambda: bar.advance(task))
    with _made(output):
        about = {
            "format": 1,
            "run": folder.resolve().name,
            "checkpoint": run.checkpoint.name,
            "step": run.step,
            "network": "averaged" if averaged else "raw",
            "images": images,
            "patch": patch,
            "seed": seed,
            "photos": samples.photos,
            "ground_truth": samples.has_truth,
            "weight": run.objective.weight,
            "objective": run.recipe.objective,
            "kinds": KINDS,
        }
        device = runtime.best_device()
        run.restorer.to(device)
        run.objective.to(device)
        samples = samples.to(device)
        restored = _restored(run, samples)
        content = about | _measure(run, samples, restored, seed)
        if drawing is not None:
            content["samples"] = _draw(run, samples, restored, seed, drawing, output / DRAWN)
        content["verdict"] = verdict(content)
        page = plots.page(content)
        text = f"# Diagnosis of {content['run']}\n\n{plots.subtitle(content)}\n\n" + "".join(
            f"- {line}\n" for line in content["verdict"]
        )
        numbers = json.dumps(content, indent=1, allow_nan=False) + "\n"
        # the numbers last: who finds them finds the rest
        write_whole(output / PLOTS, page)
        write_whole(output / TEXT, text.encode())
        write_whole(output / JSON, numbers.encode())
        if drawing is None:
            # of an earlier diagnosis, which this one replaces
            (output / DRAWN).unlink(missing_ok=True)
    return Diagnosis(output, content)


def _restored(run: OpenedRun, samples: Samples) -> dict[str, Tensor]:
    """The restored images by domain, N×3×p×p."""
    batch = run.recipe.data.batch
    with torch.no_grad():
        return {
            domain: torch.cat([run.restorer(part) for part in image.split(batch)])
            for domain, image in samples.degraded.items()
        }


def _draw(
    run: OpenedRun,
    samples: Samples,
    restored: dict[str, Tensor],
    seed: int,
    drawing: Drawing,
    path: Path,
) -> dict[str, Any]:
    """Draw images and write their picture; what is told about them."""
    batch = run.recipe.data.batch
    steps = drawing.steps or run.objective.schedule.steps
    with progress_bar("steps") as bar:
        task = bar.add_task(
            f"drawing ({drawing.sampler})", total=steps * math.ceil(drawing.count / batch), note=""
        )
        drawn = draw(run.objective, restored, drawing, seed, batch, lambda: bar.advance(task))
    write_image(path, picture(samples, restored, drawn))
    return told(samples, drawn, drawing, steps)


def _measure(
    run: OpenedRun, samples: Samples, restored: dict[str, Tensor], seed: int
) -> dict[str, Any]:
    """The tables of a diagnosis."""
    restorer, objective = run.restorer, run.objective
    looked_at = noise_levels(objective.schedule, objective.steps)
    batch = run.recipe.data.batch
    steps = len(looked_at) * math.ceil(len(samples) / batch)
    with progress_bar("noise levels of batches") as bar:

        def phase(description: str) -> Callable[[], None]:
            task = bar.add_task(description, total=steps, note="")
            return lambda: bar.advance(task)

        errors = measure_conditions(
            objective, samples, restored, looked_at, seed, batch, phase("1/2 conditions")
        )
        gradients = measure_gradients(
            restorer, objective, samples, looked_at, seed, batch, phase("2/2 gradients")
        )
    return {
        "levels": {
            "gamma": looked_at.gammas.tolist(),
            "noise_ratio": looked_at.ratios.tolist(),
            "share": looked_at.shares.tolist(),
        },
        "conditions": condition_tables(errors, looked_at),
        "gradients": gradient_tables(gradients),
    }


def _patch(run: OpenedRun, wanted: int | None) -> int:
    multiple = math.lcm(BOX, run.objective.patch_multiple)
    if wanted is None:
        return max(run.recipe.data.patch // multiple, 1) * multiple
    if wanted < multiple or wanted % multiple:
        raise OptionError(
            f"patch {wanted} must be a multiple of {multiple}, because the noise predictor and "
            "the frequency bands halve it"
        )
    return wanted


def _refuse_existing(output: Path, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise RunError(f"{output} is a file; choose a folder with -o")
    present = [name for name in FILES if (output / name).exists()]
    if present and not overwrite:
        raise RunError(
            f"{output / present[0]} exists; replace the diagnosis with --overwrite, or choose "
            "another folder with -o"
        )


@contextlib.contextmanager
def _made(output: Path) -> Any:
    """Make the folder and see that files can be written there, before minutes of work; if that
    work fails, an empty folder is removed again."""
    new = not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise RunError(f"{output}: cannot write the diagnosis: {error.strerror}") from None
    try:
        yield
    except BaseException:
        if new:
            # not empty: somebody else's by now
            with contextlib.suppress(OSError):
                output.rmdir()
        raise
