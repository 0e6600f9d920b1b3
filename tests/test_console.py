"""Progress where nobody watches: lines now and then, and none of what is soon done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
import typer

from noiseda.cli import Commands
from noiseda.console import PlainProgress, progress_bar


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_no_command_is_stopped_without_a_word() -> None:
    commands = typer.Typer(cls=Commands)

    @commands.command()
    def stopped() -> None:
        raise KeyboardInterrupt

    @commands.command()
    def told() -> None:
        raise typer.Exit(130)

    # which the program answers with "interrupted"
    with pytest.raises(typer.Abort):
        commands(["stopped"], standalone_mode=False)
    assert commands(["told"], standalone_mode=False) == 130


def test_quick_things_are_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("images") as bar:
        assert isinstance(bar, PlainProgress)
        task = bar.add_task("decoding", total=3, note="")
        for _ in range(3):
            bar.advance(task)
    assert capsys.readouterr() == ("", "")


def test_long_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[str] = []

    def lines() -> int:
        out, err = capsys.readouterr()
        assert out == ""
        written.extend(err.splitlines())
        return len(written)

    begin = time.monotonic()
    with PlainProgress("images", quiet=0.1, every=0.3) as bar:
        hidden = bar.add_task("hidden", total=None, note="", visible=False)
        task = bar.add_task("training", total=10, note="25 steps")
        # without any news, because a single step may take long
        wait(lambda: lines() >= 2)
        assert time.monotonic() - begin >= 0.4
        early = len(written)
        bar.update(task, completed=4, note="loss [bold]0.5[/]")
        time.sleep(0.01)
        bar.update(task, completed=6)
        wait(lambda: lines() > early)
        bar.update(task, completed=10)
        wait(lambda: "10/10" in written[lines() - 1])
        # finished: nothing is said again
        end = len(written)
        time.sleep(0.5)
    assert lines() == end
    assert hidden != task
    for line in written[:early]:
        assert re.fullmatch(r"training: 0/10 images, 0:00:0\d, ETA unknown, 25 steps", line)
    assert any(line.endswith(", loss 0.5") for line in written[early:-1])
    for line in written[early:-1]:
        assert re.match(r"training: [046]/10 images, 0:00:0\d, ETA ", line)
    assert re.fullmatch(r"training: 10/10 images, 0:00:\d\d", written[-1])


def test_what_was_announced_and_did_not_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "restoring: 25 %, 0:00:00, ETA unknown"
    assert re.fullmatch(r"restoring: 25 %, 0:00:0\d", last)


def interrupted() -> None:
    with PlainProgress(counted=False, quiet=0.02) as bar:
        task = bar.add_task("restoring", total=200, note="")
        bar.advance(task, 50)
        time.sleep(0.3)
        raise KeyboardInterrupt
