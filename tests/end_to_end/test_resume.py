"""A run that is killed and resumed ends with the same bits as one that never stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file

from noiseda import networks
from noiseda.checkpoint import save
from tests.conftest import ENVIRONMENT


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """`noiseda train` as the leader of a process group of its own."""
    command = [sys.executable, "-m", "noiseda", "train", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
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
            # what follows the last line's end is being written
            *written, _ = (run / "metrics.jsonl").read_text().split("\n")
            if written and json.loads(written[-1])["step"] >= step:
                return
        time.sleep(0.005)
    raise TimeoutError


@pytest.fixture
def long_recipe(recipe_file: Path) -> Path:
    # long enough that a signal arrives in the middle: 200 steps, a checkpoint every 5
    text = recipe_file.read_text().replace("images: 48", "images: 400")
    recipe_file.write_text(text.replace("checkpoint_every: 8", "checkpoint_every: 10"))
    return recipe_file


# before the first checkpoint, then between later ones
@pytest.mark.parametrize(
    ("objective", "kills"), [("noise-space", (3, 52, 117)), ("two-scale", (3, 117))]
)
def test_killed_at_several_points_and_resumed(
    objective: str, kills: tuple[int, ...], long_recipe: Path, tmp_path: Path
) -> None:
    if objective != "noise-space":
        content = yaml.safe_load(long_recipe.read_text())
        long_recipe.write_text(yaml.safe_dump({**content, "objective": objective}))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(long_recipe, "-o", whole))

    process = start(long_recipe, "-o", broken)
    for step in kills:
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


def members(group: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        # a process of the machine's may end between being listed and being asked
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.append(process.pid)
    return found


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 2), (signal.SIGTERM, 0)]
)
def test_asked_to_stop(
    long_recipe: Path, tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    run = tmp_path / "run"
    process = start(long_recipe, "-o", run, "--set", f"data.workers={workers}")
    wait_for_step(run, 7, process)
    if workers:
        # as a terminal does it, or a job manager: the loader's processes are signalled too, which
        # are the fork server, its resource tracker and the workers
        assert len(members(process.pid)) >= 2 + workers
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert f"noiseda train --resume {run}" in out
    assert "Traceback" not in err
    # a usable model so far, and everything needed to go on
    assert (run / "model.safetensors").exists()
    stopped = int(max((run / "checkpoints").glob("*.ckpt")).stem)
    assert lines(run)[-1]["step"] <= stopped < 200
    deadline = time.monotonic() + 30
    while members(process.pid):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)
    finish(start("--resume", run))
    assert lines(run)[-1]["step"] == 200


def test_start_model_that_is_gone(long_recipe: Path, tmp_path: Path) -> None:
    """A run folder holds all it needs, also before the first checkpoint and at another place."""
    first, whole, broken = (tmp_path / name for name in ("first.safetensors", "whole", "broken"))
    options = {"width": 4, "depth": 2, "upsampling": "half-pixel"}
    torch.manual_seed(5)
    save(first, networks.build("unet", **options))
    keys = [f"training.start={first}", "training.images=60", "training.checkpoint_every=1000"]
    sets = [part for key in keys for part in ("--set", key)]
    finish(start(long_recipe, "-o", whole, *sets))
    process = start(long_recipe, "-o", broken, *sets)
    wait_for_step(broken, 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list((broken / "checkpoints").iterdir())
    first.unlink()
    moved = broken.rename(tmp_path / "moved")
    finish(start("--resume", moved))
    expected, resumed = (load_file(r / "model.safetensors") for r in (whole, moved))
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
    assert lines(whole) == lines(moved)
    # where the first weights came from is still told
    assert f"start: {first}" in (moved / "recipe.yaml").read_text()
