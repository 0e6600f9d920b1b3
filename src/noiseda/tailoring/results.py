"""What comes after training: the model, the verdict, the restored photos, the report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from noiseda import images
from noiseda.checkpoint import ModelInfo, open_model, save
from noiseda.console import progress_bar
from noiseda.errors import ImageError, RunError
from noiseda.judgement import Judging, Risk, Verdict, judge, network_offset
from noiseda.measurement import evenly, has_mean, matched_options
from noiseda.networks import RestorationNetwork, interpolate
from noiseda.report import write_report
from noiseda.restoration import Restorer, load, plan_jobs, restore_files
from noiseda.tailoring.folder import MODEL, RESTORED, WORK, State
from noiseda.tailoring.look import Look
from noiseda.tailoring.plan import Given
from noiseda.tailoring.tasks import ADAPTED, WAYS
from noiseda.tailoring.telling import report_of, shown_names

# fewer photos than these decide by chance; then photos that were learned from are judged, too, up
# to so many in all. Of ten of RENOIR the estimate was not more favourable, of three of PolyU, which
# were all there was to learn from, it was by half a decibel (studies/adapt)
_FEW, _MOST = 8, 16
# of the way from the start, of very few photos
_SHARE = 0.5
# that tell what the start model takes for the mean of their noise
_TELLING = 24


def adapted_model(given: Given, seen: Look, run: Path) -> tuple[RestorationNetwork, ModelInfo]:
    """What training made of the start; of very few noisy photos, what lies half-way between both:
    most of the gain on these, and hardly any loss on others (studies/adapt)."""
    network, info = open_model(run)
    if seen.few and WAYS[info.task].judged:
        network = interpolate(given.network, network, _SHARE)
        info = info.model_copy(
            update={"provenance": {**info.provenance, "share_of_adaptation": _SHARE}}
        )
    return network, info


def keep_model(
    given: Given, folder: Path, adapted: RestorationNetwork, info: ModelInfo, better: bool
) -> None:
    """Write the folder's model: the adapted one if it is better, else the start; then, of tasks
    that cannot be judged, the adapted one beside it.

    Raises:
        ModelFileError: it cannot be written.
    """
    if better or not WAYS[given.info.task].judged:
        _write(folder / (MODEL if better else ADAPTED), adapted, info, {})
    if not better:
        _write(folder / MODEL, given.network, given.info, {"kept_by": "noiseda adapt"})


def _write(path: Path, network: RestorationNetwork, info: ModelInfo, more: dict[str, str]) -> None:
    save(
        path,
        network,
        task=info.task,
        recipe=info.recipe,
        scores=info.scores,
        provenance={**info.provenance, **more},
    )


def judged(given: Given, seen: Look, adapted: RestorationNetwork) -> Verdict:
    """Whether the adapted network is better than the start."""
    if not WAYS[given.info.task].judged:
        return Verdict("unsure", 0.5, None, None, 0, 0)
    noise = seen.survey.noise
    options = matched_options(noise) if noise else None
    judging = Judging(given.network, adapted, options, offset=_offset(given, seen))
    found = _risks(judging, given.photos, seen.held_out)
    learned: list[Risk] = []
    if seen.spared and len(seen.held_out) < _FEW:
        count = min(len(seen.training), _MOST - len(seen.held_out))
        more = [seen.training[index * len(seen.training) // count] for index in range(count)]
        learned = _risks(judging, given.photos, more, "judging what was learned from")
    saw = len(learned if seen.spared else found)
    return replace(judge([*found, *learned]), learned=saw)


def _offset(given: Given, seen: Look) -> np.ndarray | None:
    """Mean of the photos' noise, if the start model was trained on noise that has one.

    It is not adapted with: of real noise the start model knows it too badly (studies/adapt).
    """
    if not has_mean((given.info.recipe or {}).get("degradation")):
        return None
    return network_offset(
        given.network,
        _pixels_of(given.photos, evenly(seen.training, _TELLING), "preparing to judge"),
    )


def _pixels_of(photos: Path, names: Sequence[str], stage: str) -> Iterator[np.ndarray]:
    """Photos, one at a time, with a progress bar."""
    with progress_bar("photos") as bar:
        task = bar.add_task(stage, total=len(names), note="")
        for name in names:
            # it could be read at the first look; the others still can
            with suppress(ImageError):
                yield images.read_rgb8(photos / name)
            bar.advance(task)


def _risks(
    judging: Judging, photos: Path, names: Sequence[str], stage: str = "judging"
) -> list[Risk]:
    """Of the photos on which something can be told."""
    found = [judging.risk(photo) for photo in _pixels_of(photos, names, stage)]
    return [risk for risk in found if risk is not None]


def restored(photos: Path, folder: Path) -> tuple[int, list[tuple[Path, str]]]:
    """Restore all photos with the folder's model; how many were, and what could not be.

    Raises:
        RunError: the disk is full.
        KeyboardInterrupt: the user stopped it; what was restored stays.
    """
    restorer = load(folder / MODEL)
    jobs = plan_jobs([photos], folder / RESTORED)
    pending = [job.source for job in jobs if not job.target.exists()]
    with progress_bar(counted=False) as bar:
        task = bar.add_task("restoring", total=_pixels(pending), note="")
        outcome = restore_files(restorer, jobs, advance=lambda pixels: bar.advance(task, pixels))
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.unwritten:
        reason = next(text for path, text in outcome.failed if path == outcome.unwritten[0])
        raise RunError(
            f"{len(outcome.unwritten)} photos were not restored: {reason}; then run the same "
            "command again to go on"
        )
    return len(outcome.done) + len(outcome.kept), outcome.failed


def report(
    given: Given,
    seen: Look,
    adapted: RestorationNetwork,
    folder: Path,
    state: State,
    verdict: Verdict,
) -> None:
    """Write the report; the photos in it are restored by both networks.

    Raises:
        NoiseDAError: it cannot be written.
    """
    begin = time.perf_counter()
    _, info = open_model(folder / WORK / "run")
    restorers = (Restorer(given.network, given.info), Restorer(adapted, info))
    total = 2 * _pixels([given.photos / name for name in shown_names(seen)])
    with progress_bar(counted=False) as bar:
        task = bar.add_task("writing the report", total=total, note="")
        content = report_of(
            given,
            seen,
            state,
            verdict,
            restorers,
            lambda pixels: bar.advance(task, pixels),
            begin,
        )
        write_report(folder, content)


def _pixels(photos: list[Path]) -> int:
    total = 0
    for path in photos:
        try:
            height, width = images.size(path)
        except ImageError:
            # told of when its turn comes
            continue
        total += height * width
    return total
