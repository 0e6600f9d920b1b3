"""All stages, from a folder of photos to an adapted model and a report."""

from __future__ import annotations

import errno
import hashlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from noiseda.checkpoint import open_model
from noiseda.errors import DataError, ModelFileError, OptionError
from noiseda.images.library import shown
from noiseda.judgement import Verdict
from noiseda.tailoring.budget import Budget
from noiseda.tailoring.folder import (
    MODEL,
    PREVIEW,
    WORK,
    State,
    begun,
    remove_leftovers,
    unwritable,
)
from noiseda.tailoring.look import Look, is_odd, look, read_look
from noiseda.tailoring.plan import FEWEST_STEPS, Given, recipe_for, within
from noiseda.tailoring.preview import Preview, pieces
from noiseda.tailoring.results import adapted_model, judged, keep_model, report, restored
from noiseda.tailoring.telling import outcome
from noiseda.training import is_finished, resume, train
from noiseda.training.folder import RECIPE, reserved

Say = Callable[[str], None]

RUN, _LOOK = f"{WORK}/run", f"{WORK}/look.json"
# seconds that starting and ending a training take beside its steps
_AROUND = 3.0
# what a disk says that is full or may not be written to
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Result:
    """What became of it.

    Attributes:
        folder: with the model, the report and the restored photos.
        verdict: whether the adapted model is better than the start.
        kept: "adapted" or "start": which of them the folder's model is.
        steps: of training that were planned.
        restored: how many photos were restored.
        failed: (photo, reason) of those that could not be.
    """

    folder: Path
    verdict: Verdict
    kept: str
    steps: int
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
    task: str | None = None,
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
        task: what the start model must be for; None for whatever it is for.

    Returns:
        None if `plan_only`.

    Raises:
        NoiseDAError: no usable photo, a model that cannot be opened, a folder in use or full.
        KeyboardInterrupt: the user stopped it; nothing that was done is lost.
    """
    if not math.isfinite(minutes):
        raise OptionError(f"minutes {minutes}: must be a number; 30 is enough for most")
    given = _given(photos, start, seed, task)
    if plan_only:
        _plan_only(given, minutes, say)
        return None
    digest = hashlib.sha256(given.start.read_bytes()).hexdigest()[:16]
    wanted = State(str(photos.resolve()), str(start), digest, minutes, seed)
    state = begun(folder, wanted)
    with _space(folder):
        if state is None:
            state = wanted
            seen = _begin(given, folder, state, say)
        else:
            seen = _go_on(given, folder, state, wanted, say)
        given = replace(given, seed=state.seed)
        with timed("adapting", state, folder):
            _adapt(given, seen, folder, state, say)
        adapted, info = adapted_model(given, seen, folder / RUN)
        with timed("judging", state, folder):
            # decided once
            verdict = Verdict(**state.verdict) if state.verdict else judged(given, seen, adapted)
            state.verdict = asdict(verdict)
        say(outcome(given.info.task, verdict))
        state.kept = "adapted" if verdict.worth_keeping else "start"
        if not verdict.worth_keeping:
            say("The start model is kept.")
        keep_model(given, folder, adapted, info, verdict.worth_keeping)
        with timed("restoring", state, folder):
            count, failed = restored(photos, folder)
        report(given, seen, adapted, folder, state, verdict)
        state.finished = True
        state.write(folder)
        remove_leftovers(folder)
    assert state.kept is not None
    assert state.steps is not None
    return Result(folder, verdict, state.kept, state.steps, count, failed)


@contextmanager
def timed(stage: str, state: State, folder: Path) -> Iterator[None]:
    """Note what a stage takes, with what it took before it was interrupted."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        state.times[stage] = state.times.get(stage, 0.0) + time.perf_counter() - begin
        state.write(folder)


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    """What a full disk says, and nobody has expected, as one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise unwritable(Path(error.filename or folder), error) from None


def _given(photos: Path, start: Path, seed: int, task: str | None) -> Given:
    network, info = open_model(start, task)
    file = start / MODEL if start.is_dir() else start
    for path, kind in ((photos, DataError), (file, ModelFileError)):
        if is_odd(str(path.absolute())):
            raise kind(f"{shown(path)}: its name is not UTF-8; rename it, or link to it")
    return Given(photos, file, network, info, seed)


def _plan_only(given: Given, minutes: float, say: Say) -> None:
    seen = look(given.photos, given.info)
    for text in seen.sentences:
        say(text)
    with tempfile.TemporaryDirectory(prefix="noiseda-") as cache:
        recipe = recipe_for(given, seen, Path(cache))
        say(within(recipe, 60 * minutes - _AROUND).sentence)


def _begin(given: Given, folder: Path, state: State, say: Say) -> Look:
    """Look at the photos; only then the folder gets something into it."""
    begin = time.perf_counter()
    with reserved(folder):
        seen = look(given.photos, given.info)
    state.times["looking"] = time.perf_counter() - begin
    state.write(folder)
    (folder / WORK).mkdir()
    seen.write(folder / _LOOK)
    for text in seen.sentences:
        say(text)
    return seen


def _go_on(given: Given, folder: Path, state: State, wanted: State, say: Say) -> Look:
    """What was seen before the interruption."""
    say(f"Going on with what was begun in {folder}.")
    if (state.minutes, state.seed) != (wanted.minutes, wanted.seed):
        say(f"The {state.minutes:g} minutes and the seed {state.seed} stay as it was begun with.")
    seen = read_look(folder / _LOOK, given.photos)
    if seen is None:
        with timed("looking", state, folder):
            seen = look(given.photos, given.info)
        (folder / WORK).mkdir(exist_ok=True)
        seen.write(folder / _LOOK)
    for text in seen.sentences:
        say(text)
    return seen


def _adapt(given: Given, seen: Look, folder: Path, state: State, say: Say) -> None:
    """Train, within the time that is left.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    run = folder / RUN
    if state.adapted:
        return
    until = time.perf_counter() + 60 * state.minutes - state.times.get("adapting", 0.0) - _AROUND
    there = (run / RECIPE).is_file()
    if not (there and is_finished(run)):
        budget = Budget(until, FEWEST_STEPS, run)
        preview = Preview(folder / PREVIEW, pieces(given.photos, seen.held_out), given.network)
        if there:
            result = resume(run, "adapting", [preview, budget])
        else:
            # a process that was killed while it made the folder leaves one without a recipe
            shutil.rmtree(run, ignore_errors=True)
            recipe = recipe_for(given, seen, folder / WORK / "cache")
            plan = within(recipe, until - time.perf_counter())
            say(plan.sentence)
            state.steps = plan.recipe.steps
            result = train(plan.recipe, run, "adapting", [preview, budget])
        if not (result.finished or budget.over):
            raise KeyboardInterrupt
    state.adapted = True
