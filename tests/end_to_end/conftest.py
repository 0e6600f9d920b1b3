"""The command line inside this process, for what needs no process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from noiseda.cli import main
from tests.comparison.recipes import write_recipe

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run it in `tmp_path`: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["noiseda", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()  # pyright: ignore[reportReturnType]

    monkeypatch.chdir(tmp_path)
    return run


@pytest.fixture
def refused(command: Command) -> Callable[..., str]:
    """A command that is refused: the one line it prints, after progress if there was any."""

    def run(*arguments: str | Path) -> str:
        code, out, err = command(*arguments)
        assert code == 2
        assert out == ""
        lines = err.splitlines()
        assert [line for line in lines if "ETA" not in line and line.strip()] == lines[-1:]
        assert lines[-1].startswith("noiseda: ")
        return lines[-1]

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A small comparison, with the images it names beside it."""
    return write_recipe(tmp_path)
