"""What an adaptation did, as a report for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from noiseda import images, measurement
from noiseda.judgement import Verdict
from noiseda.report import Noise, Photos, Report, ShownPhoto
from noiseda.report import Verdict as ShownVerdict
from noiseda.restoration import load
from noiseda.tailoring.folder import State
from noiseda.tailoring.look import Look

_SHOWN = 4


def report_of(
    photos: Path,
    seen: Look,
    state: State,
    verdict: Verdict,
    kept: str,
    models: tuple[Path, Path],
    advance: Callable[[], None],
    began: float,
) -> Report:
    """The report's content; photos are restored as it is written.

    Args:
        photos: the folder of photos.
        seen: what was found in it.
        state: of the adaptation.
        verdict: its outcome.
        kept: "adapted" or "start".
        models: the start model and the adapted one.
        advance: called after each photo that is shown.
        began: when writing the report began, by `time.perf_counter`.
    """
    survey = seen.survey
    ground = "which adaptation did not see" if seen.spared else "which adaptation saw, too"
    count = len(seen.held_out)
    judged = f"Judged without ground truth on {count} photo{'s' * (count > 1)}, {ground}."
    kept_sentence = "" if kept == "adapted" else " The start model is kept."
    sure = max(verdict.probability, 1 - verdict.probability)
    times = {**state.times, "writing this report": time.perf_counter() - began}
    return Report(
        title=f"Adapted to {Path(state.photos).name}",
        verdict=ShownVerdict(
            verdict.kind,
            f"{verdict.sentence}{kept_sentence} {judged}",
            None if verdict.kind == "unsure" else sure,
            verdict.change,
            verdict.interval,
        ),
        photos=Photos(
            usable=survey.usable,
            unreadable=len(survey.unreadable),
            duplicates=sum(len(group) - 1 for group in survey.identical),
            megapixels=survey.megapixels,
        ),
        looked=seen.told,
        noise=_noise(survey.noise) if survey.noise else None,
        settings={
            "photos": state.photos,
            "photos learned from": str(len(seen.training)),
            "photos judged on": ", ".join(seen.held_out),
            "training steps": str(state.steps),
            "minutes allowed": f"{state.minutes:g}",
            "model kept": kept,
        },
        times=times,
        shown=_shown(photos, seen.held_out[:_SHOWN], models, advance),
    )


def _shown(
    photos: Path, names: list[str], models: tuple[Path, Path], advance: Callable[[], None]
) -> Iterator[ShownPhoto]:
    start, adapted = (load(model) for model in models)
    for name in names:
        photo = images.read_rgb8(photos / name)
        yield ShownPhoto(name, photo, start.pixels(photo), adapted.pixels(photo))
        advance()


def _noise(found: measurement.Noise) -> Noise:
    sigma = np.array(found.curve).T
    knots = np.array(found.brightness)
    for channel, (low, high) in enumerate(found.seen):
        # beyond, the curve is a guess
        sigma[channel, (knots < low - 0.05) | (knots > high + 0.05)] = np.nan
    return Noise(
        brightness=knots,
        sigma=sigma,
        horizontal=found.horizontal.mean(0),
        vertical=found.vertical.mean(0),
        colours=found.color,
    )
