"""What the terminal shows: progress with an ETA on stderr, so that stdout stays for results."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

stdout = Console(soft_wrap=True)
stderr = Console(stderr=True)


def progress_bar(unit: str = "", counted: bool = True) -> Progress:
    """A progress display: description, bar, count, elapsed time and ETA, and a free text field
    `note` that tasks may set. Off a terminal nothing is shown: in a log, stderr is for errors.

    Args:
        unit: of what is counted.
        counted: show "3/10"; else only the percentage.
    """
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
        disable=not stderr.is_terminal,
    )
