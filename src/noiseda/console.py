"""What the user sees meanwhile: progress with an ETA on stderr, so that stdout stays for results.

On a terminal it is a bar. In a log, where there is nobody to watch, it is a line now and then.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

stdout = Console(soft_wrap=True)
stderr = Console(stderr=True)

# seconds that the speed is averaged over: a single step of a large network may take half a minute
_SPEED_PERIOD = 300.0


_passing = contextvars.ContextVar("_passing", default=False)


@contextlib.contextmanager
def passing() -> Iterator[None]:
    """Displays that are made in here leave nothing on the terminal when they end: for parts of
    something that has a display of its own."""
    token = _passing.set(True)
    try:
        yield
    finally:
        _passing.reset(token)


def progress_bar(unit: str = "", counted: bool = True) -> Progress:
    """A progress display: description, count, elapsed time and ETA, and a free text field `note`
    that tasks may set. Off a terminal see `PlainProgress`.

    Args:
        unit: of what is counted.
        counted: show "3/10"; else only the percentage.
    """
    if not stderr.is_terminal:
        return PlainProgress(unit, counted)
    amount = [MofNCompleteColumn(), TextColumn(unit)] if counted else [TaskProgressColumn()]
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *amount,
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=stderr,
        speed_estimate_period=_SPEED_PERIOD,
        transient=_passing.get(),
    )


class PlainProgress(Progress):
    """Progress as plain lines on stderr: none of a task that is soon done, else a line after
    `quiet` seconds, one every `every` seconds, and a last one when the task or the display ends.

    Args:
        unit, counted: see `progress_bar`.
        quiet, every: in seconds.
    """

    def __init__(
        self, unit: str = "", counted: bool = True, quiet: float = 10.0, every: float = 60.0
    ) -> None:
        super().__init__(console=stderr, disable=True, speed_estimate_period=_SPEED_PERIOD)
        self.unit = unit
        self.counted = counted
        self.quiet = quiet
        self.every = every
        self._told: dict[TaskID, float] = {}
        self._ended = threading.Event()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        # a thread, because a single image or step may take longer than a line should wait
        self._watch = threading.Thread(target=self._run, daemon=True)
        self._watch.start()

    def stop(self) -> None:
        if self._watch is None:
            return
        self._ended.set()
        self._watch.join()
        self._watch = None
        for task in self.tasks:
            self._tell(task, last=True)

    def _run(self) -> None:
        while not self._ended.wait(min(self.quiet, self.every, 10.0) / 10):
            for task in self.tasks:
                self._tell(task, last=task.finished)

    def _tell(self, task: Task, last: bool) -> None:
        elapsed = task.elapsed or 0.0
        told = self._told.get(task.id)
        if not task.visible:
            return
        if last and told is not None:
            # infinite: whatever is told of it, this was the last
            self._told[task.id] = float("inf")
            if told != float("inf"):
                _print(self._line(task, elapsed))
        elif not last and elapsed >= (self.quiet if told is None else told + self.every):
            self._told[task.id] = elapsed
            remaining = task.time_remaining
            eta = "unknown" if remaining is None else timedelta(seconds=round(remaining))
            _print(f"{self._line(task, elapsed)}, ETA {eta}{_note(task)}")

    def _line(self, task: Task, elapsed: float) -> str:
        done, total = f"{task.completed:.0f}", task.total
        amount = f"{task.percentage:.0f} %"
        if self.counted:
            amount = (
                f"{done}/{total:.0f} {self.unit}" if total is not None else f"{done} {self.unit}"
            )
        description = Text.from_markup(task.description).plain
        return f"{description}: {amount.strip()}, {timedelta(seconds=round(elapsed))}"


def _note(task: Task) -> str:
    note = Text.from_markup(str(task.fields.get("note", ""))).plain
    return f", {note}" if note else ""


def _print(line: str) -> None:
    # not by rich, which ends the program if nobody reads on
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
