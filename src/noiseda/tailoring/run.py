"""All stages, from a folder of photos to an adapted model and a report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from noiseda import images
from noiseda.checkpoint import ModelInfo, open_model, save
from noiseda.console import duration, progress_bar
from noiseda.errors import NoiseDAError
from noiseda.files import write_whole
from noiseda.judgement import Judging, Verdict, judge
from noiseda.networks import RestorationNetwork
from noiseda.report import write_report
from noiseda.restoration import load, plan_jobs, restore_files
from noiseda.tailoring.folder import MODEL, PREVIEW, RESTORED, WORK, State, open_folder
from noiseda.tailoring.look import Look, look
from noiseda.tailoring.plan import recipe_for, within
from noiseda.tailoring.preview import Preview, pieces
from noiseda.tailoring.telling import report_of
from noiseda.training import is_finished, resume, train
from noiseda.training.folder import RECIPE

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What became of it.

    Attributes:
        folder: with the model, the report and the restored photos.
        verdict: whether the adapted model is better than the start.
        kept: "adapted" or "start": which of them the folder's model is.
        restored: how many photos were restored.
        failed: (photo, reason) of those that could not be.
    """

    folder: Path
    verdict: Verdict
    kept: str
    restored: int
    failed: list[tuple[Path, str]]


def tailor(
    photos: Path,
    folder: Path,
    start: Path,
    minutes: float = 30.0,
    seed: int = 0,
    say: Say = lambda text: None,
    plan_only: bool = False,
) -> Result | None:
    """Adapt a model to a folder of photos; called again after an interruption, it goes on.

    Args:
        photos: at any depth, of any sizes; they are not changed.
        folder: for everything that is made; absent, empty, or of the same adaptation.
        start: model file, or run folder, to start from.
        minutes: that adapting may take; looking before and restoring afterwards come on top.
        seed: of every random draw.
        say: called with lines for people.
        plan_only: look, tell the time and the memory, and do nothing else.

    Returns:
        None if `plan_only`.

    Raises:
        NoiseDAError: no usable photo, a model that cannot be opened, a folder in use or full.
        KeyboardInterrupt: the user stopped it; nothing that was done is lost.
    """
    network, info = open_model(start)
    file = start / MODEL if start.is_dir() else start
    state = State("", "", minutes) if plan_only else open_folder(folder, photos, file, minutes)
    with timed(state, "looking"):
        seen = look(photos, info)
    say(f"{seen.survey.usable} of {seen.survey.files} photos can be used.")
    for text in seen.told:
        say(text)
    work = folder / WORK
    if plan_only:
        _plan_only(photos, seen, network, info, file, minutes, seed, say)
        return None
    state.write(folder)
    run = work / "run"
    with timed(state, "adapting"):
        _adapt(photos, seen, network, info, file, state, folder, seed, say)
    state.write(folder)
    adapted, _ = open_model(run)
    with timed(state, "judging"):
        verdict = _judge(photos, seen, network, adapted)
    kept = "adapted" if verdict.probability >= 0.5 and verdict.kind != "worse" else "start"
    state.verdict = {**asdict(verdict), "sentence": verdict.sentence, "kept": kept}
    state.write(folder)
    say(verdict.sentence)
    if kept == "adapted":
        write_whole(folder / MODEL, (run / MODEL).read_bytes())
    else:
        say("The start model is kept.")
        provenance = {**info.provenance, "kept_by": "noiseda adapt"}
        save(folder / MODEL, network, task=info.task, recipe=info.recipe, scores=info.scores,
             provenance=provenance)  # fmt: skip
    with timed(state, "restoring"):
        restored, failed = _restore(photos, folder)
    begin = time.perf_counter()
    models = (start, run)
    with progress_bar("photos") as bar:
        task = bar.add_task("writing the report", total=None, note="")
        content = report_of(
            photos, seen, state, verdict, kept, models, lambda: bar.advance(task), begin
        )
        write_report(folder, content)
    state.finished = True
    state.write(folder)
    shutil.rmtree(work, ignore_errors=True)
    return Result(folder, verdict, kept, restored, failed)


@contextmanager
def timed(state: State, stage: str) -> Iterator[None]:
    """Add what a stage takes to what it took before it was interrupted."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        state.times[stage] = state.times.get(stage, 0.0) + time.perf_counter() - begin


def _plan_only(
    photos: Path,
    seen: Look,
    network: RestorationNetwork,
    info: ModelInfo,
    start: Path,
    minutes: float,
    seed: int,
    say: Say,
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="noiseda-") as cache:
        recipe = recipe_for(photos, seen, network, info, start, Path(cache), seed)
        recipe, cost = within(recipe, 60 * minutes)
    say(_estimate(recipe.steps, recipe.steps * cost.step + cost.targets, cost.memory))


def _estimate(steps: int, seconds: float, memory: int) -> str:
    return (
        f"Adapting takes about {duration(seconds)} ({steps} steps) and {memory / 2**30:.1f} GB of "
        "memory; judging and restoring come on top."
    )


def _adapt(
    photos: Path,
    seen: Look,
    network: RestorationNetwork,
    info: ModelInfo,
    start: Path,
    state: State,
    folder: Path,
    seed: int,
    say: Say,
) -> None:
    run = folder / WORK / "run"
    if (run / RECIPE).is_file() and is_finished(run):
        return
    shown = pieces([images.read_rgb8(photos / name) for name in seen.held_out[:3]])
    preview = Preview(folder / PREVIEW, shown, network)
    if (run / RECIPE).is_file():
        result = resume(run, "adapting", [preview])
    else:
        # what a process left that was killed while it made the folder
        shutil.rmtree(run, ignore_errors=True)
        recipe = recipe_for(photos, seen, network, info, start, folder / WORK / "cache", seed)
        recipe, cost = within(recipe, 60 * state.minutes)
        say(_estimate(recipe.steps, recipe.steps * cost.step + cost.targets, cost.memory))
        state.steps = recipe.steps
        result = train(recipe, run, "adapting", [preview])
    if not result.finished:
        raise KeyboardInterrupt


def _judge(
    photos: Path, seen: Look, start: RestorationNetwork, adapted: RestorationNetwork
) -> Verdict:
    judging = Judging(start, adapted)
    risks = []
    with progress_bar("photos") as bar:
        task = bar.add_task("judging", total=len(seen.held_out), note="")
        for name in seen.held_out:
            found = judging.risk(images.read_rgb8(photos / name))
            if found is not None:
                risks.append(found)
            bar.advance(task)
    return judge(risks)


def _restore(photos: Path, folder: Path) -> tuple[int, list[tuple[Path, str]]]:
    restorer = load(folder / MODEL)
    jobs = plan_jobs([photos], folder / RESTORED)
    total = 0
    for job in jobs:
        try:
            header = images.header(job.source)
            total += header.height * header.width
        except NoiseDAError:
            continue
    with progress_bar(counted=False) as bar:
        task = bar.add_task("restoring", total=total, note="")
        outcome = restore_files(restorer, jobs, advance=lambda pixels: bar.advance(task, pixels))
    if outcome.interrupted:
        raise KeyboardInterrupt
    return len(outcome.done) + len(outcome.kept), outcome.failed
