"""What an adaptation did, as a report for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from noiseda import images, measurement
from noiseda.errors import ImageError, OptionError
from noiseda.judgement import Verdict
from noiseda.report import Noise, Photos, Report, ShownPhoto
from noiseda.report import Verdict as ShownVerdict
from noiseda.restoration import Restorer
from noiseda.tailoring.folder import State
from noiseda.tailoring.look import Look
from noiseda.tailoring.plan import Given
from noiseda.tailoring.tasks import WAYS

_SHOWN = 4


def outcome(task: str, verdict: Verdict, kept: str | None = None) -> str:
    """The verdict in words, and whose model is kept if it is the start's."""
    start = " The start model is kept." if kept == "start" else ""
    way = WAYS[task]
    if not way.judged:
        return f"{way.verdict}{start}"
    return f"{verdict.sentence}{start} {ground(verdict)}"


def ground(verdict: Verdict) -> str:
    """What a verdict rests on, in a sentence."""
    if not verdict.photos:
        return ""
    photos = f"{verdict.photos} photo{'s' * (verdict.photos > 1)}"
    saw = "that adaptation did not see"
    if verdict.learned == verdict.photos:
        # of one photo of RENOIR it said +4.7 dB for +0.4, of one of PolyU nothing (studies/adapt)
        saw = (
            "that adaptation saw, too, as there were no others to judge: the gain may be "
            "overestimated by far, and other photos may lose"
        )
    elif verdict.learned:
        saw = f"of which adaptation saw {verdict.learned}, as few could be kept back"
    return f"Judged without ground truth on {photos} {saw}."


def shown_names(seen: Look) -> list[str]:
    """The photos that the report shows."""
    return seen.held_out[:_SHOWN]


def report_of(
    given: Given,
    seen: Look,
    state: State,
    verdict: Verdict,
    restorers: tuple[Restorer, Restorer],
    advance: Callable[[int], None],
    began: float,
) -> Report:
    """The report's content; photos are restored as it is written.

    Args:
        given: the photos, and the model that was adapted.
        seen: what was found in it.
        state: of the adaptation.
        verdict: its outcome.
        restorers: the start model and the adapted one.
        advance: called with the number of pixels that were restored.
        began: when writing the report began, by `time.perf_counter`.
    """
    survey, judged = seen.survey, WAYS[given.info.task].judged
    looked_at = ", ".join(seen.held_out)
    steps, done = state.steps, restorers[1].info.provenance.get("step", state.steps)
    if seen.spared and verdict.learned:
        looked_at += f", and {verdict.learned} that were learned from"
    times = {**state.times, "writing this report": time.perf_counter() - began}
    return Report(
        title=f"Adapted to {Path(state.photos).name}",
        verdict=ShownVerdict(
            verdict.kind,
            outcome(given.info.task, verdict, state.kept),
            None if verdict.kind == "unsure" else verdict.percent_sure / 100,
            verdict.change,
            verdict.interval,
        ),
        photos=Photos(
            usable=seen.usable,
            unreadable=len(survey.unreadable),
            duplicates=sum(len(group) - 1 for group in survey.identical),
            megapixels=survey.megapixels,
        ),
        looked=seen.told,
        noise=_noise(survey.noise) if survey.noise else None,
        settings={
            "photos": state.photos,
            "photos learned from": str(len(seen.training)),
            ("photos judged on" if judged else "photos shown"): looked_at,
            "start model": state.model,
            "training steps": str(steps) if done == steps else f"{done} of {steps} in the time",
            "minutes allowed": f"{state.minutes:g}",
            "seed": str(state.seed),
            "model kept": str(state.kept),
        },
        times=times,
        shown=_shown(given.photos, shown_names(seen), restorers, advance),
    )


def _shown(
    photos: Path,
    names: list[str],
    restorers: tuple[Restorer, Restorer],
    advance: Callable[[int], None],
) -> Iterator[ShownPhoto]:
    for name in names:
        try:
            read = images.read(photos / name)
            photo = images.to_8bit(read.pixels)
            before, after = (one.pixels(photo, advance=advance) for one in restorers)
        except (ImageError, OptionError):
            # gone since the first look, or too large for the memory
            continue
        # a gray photo is shown in three channels, which its profile does not describe
        profile = None if read.kind.gray else read.kind.icc_profile
        yield ShownPhoto(name, photo, before, after, profile)


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
