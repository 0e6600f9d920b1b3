"""A run that is killed and resumed ends with the same bits as one that never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ENVIRONMENT


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "noiseda", "train", *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until the run's log has a line of at least `step`."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be stopped"
        if (run / "metrics.jsonl").exists():
            text = (run / "metrics.jsonl").read_text()
            if text and json.loads(text.splitlines()[-1])["step"] >= step:
                return
        time.sleep(0.005)
    raise TimeoutError


@pytest.fixture
def long_recipe(recipe_file: Path) -> Path:
    # long enough that a signal arrives in the middle: 200 steps, a checkpoint every 5
    text = recipe_file.read_text().replace("images: 48", "images: 400")
    recipe_file.write_text(text.replace("checkpoint_every: 8", "checkpoint_every: 10"))
    return recipe_file


def test_killed_at_several_points_and_resumed(long_recipe: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(long_recipe, "-o", whole))

    process = start(long_recipe, "-o", broken)
    for step in (3, 52, 117):  # before the first checkpoint, then between later ones
        wait_for_step(broken, step, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (broken / "model.safetensors").exists()
        process = start("--resume", broken)
    finish(process)

    expected, resumed = (
        load_file(whole / "model.safetensors"),
        load_file(broken / "model.safetensors"),
    )
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
    # every logged loss too, each step once
    assert lines(whole) == lines(broken)
    states = [
        torch.load(max((r / "checkpoints").glob("*.ckpt")), weights_only=True)
        for r in (whole, broken)
    ]
    assert_equal(states[0]["state_dict"], states[1]["state_dict"])
    assert_equal(states[0]["optimizer_states"], states[1]["optimizer_states"])


def assert_equal(a: object, b: object) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert_equal(value, b[key])
    elif isinstance(a, list):
        assert isinstance(b, list)
        for left, right in zip(a, b, strict=True):
            assert_equal(left, right)
    elif isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(long_recipe: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = start(long_recipe, "-o", run)
    wait_for_step(run, 7, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert f"noiseda train --resume {run}" in out
    assert "Traceback" not in err
    # a usable model so far, and everything needed to go on
    assert (run / "model.safetensors").exists()
    stopped = int(max((run / "checkpoints").glob("*.ckpt")).stem)
    assert lines(run)[-1]["step"] <= stopped
    finish(start("--resume", run))
    assert lines(run)[-1]["step"] == 200
