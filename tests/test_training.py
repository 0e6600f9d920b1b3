"""What is done before a run and around it: data found, folders held, costs measured."""

from __future__ import annotations

import gc
import math
import os
import signal
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import lightning
import psutil
import pytest
import torch
from torch import Tensor, nn

from noiseda.adaptation import OBJECTIVES, Batch, Objective, Randomness
from noiseda.errors import DataError, OptionError, RunError
from noiseda.training import prepare, read_recipe, resume, train
from noiseda.training.folder import reserved
from noiseda.training.probe import probe
from tests.conftest import write_photos

# --- validation -------------------------------------------------------------------------------


def pairs(recipe_file: Path, **patterns: list[str]) -> list[str]:
    home = recipe_file.parent
    degraded = {"folder": home / "noisy", **patterns}
    validation = {"data.validation": {"degraded": degraded, "clean": home / "truth"}}
    return [name for name, _, _ in prepare(read_recipe(recipe_file, validation)).validation]


def test_only_what_the_patterns_choose_needs_a_clean_counterpart(recipe_file: Path) -> None:
    home = recipe_file.parent
    write_photos(home / "noisy", ["1.png", "2.png", "in/3.png", "other.png", "1.jpg"])
    write_photos(home / "truth", ["1.png", "2.tif", "in/3.png", "4.png"])
    assert pairs(recipe_file, exclude=["*.jpg", "other*"]) == ["1.png", "2.tif", "in/3.png"]
    assert pairs(recipe_file, include=["2*"]) == ["2.tif"]
    # a chosen one without is an error, and without patterns everything has to pair
    with pytest.raises(DataError, match=r"1 image of \S+ not in \S+ \(other.png\)"):
        pairs(recipe_file, include=["2*", "o*"])
    with pytest.raises(DataError, match=r"of \S+truth not in \S+noisy \(4.png\)"):
        pairs(recipe_file)


# --- the run folder ---------------------------------------------------------------------------


def hold(folder: Path, error: type[BaseException] | None = None) -> list[str]:
    with reserved(folder):
        if error:
            raise error
        return os.listdir(folder)


@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt])
def test_a_folder_held_in_vain_is_gone(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(error):
        hold(tmp_path / "runs" / "a" / "b", error)
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]
    # what was there stays
    with pytest.raises(error):
        hold(tmp_path / "runs", error)
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]
    assert hold(tmp_path / "runs" / "a" / "b") == []
    assert (tmp_path / "runs" / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file/run: cannot write the run folder: Not a directory"):
        hold(tmp_path / "file" / "run")
    with pytest.raises(RunError, match="file exists already"):
        hold(tmp_path / "file")
    with pytest.raises(RunError, match="exists already; continue it with --resume"):
        hold(tmp_path)
    with pytest.raises(RunError, match="a run folder's name must be UTF-8"):
        hold(tmp_path / os.fsdecode(b"\xff"))
    assert os.listdir(tmp_path) == ["file"]


# --- the trial run ----------------------------------------------------------------------------


class Witness(Objective):
    """Notes how it is called."""

    seen: ClassVar[list[tuple[int, bool, torch.dtype]]] = []

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        restored = self.layer(restorer(batch["synthetic"]))
        mixed = torch.is_autocast_enabled("cpu")
        self.seen.append((len(batch["clean"]), mixed, restored.dtype))
        return {"loss": (restored - batch["clean"]).float().square().mean()}


def trial(recipe_file: Path, **training: Any) -> dict[str, str]:
    overrides = {f"training.{key}": value for key, value in training.items()}
    recipe = read_recipe(recipe_file, {"objective": "witness", "data.batch": 6, **overrides})
    Witness.seen.clear()
    summary = probe(recipe).split("\n\n")[1]
    return {line[:24].strip(): line[24:].strip() for line in summary.splitlines()}


@pytest.mark.skipif(torch.accelerator.is_available(), reason="counts devices of a CPU")
def test_interrupted_before_the_first_step(recipe_file: Path, tmp_path: Path) -> None:
    """An interruption like any other, although Lightning would end the program."""

    class Impatient(lightning.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    recipe, run = read_recipe(recipe_file), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run, callbacks=[Impatient()])
    assert signal.getsignal(signal.SIGINT) is handler
    assert resume(run).finished


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_learning_rate_over_the_run(recipe_file: Path, tmp_path: Path, schedule: str) -> None:
    class Watch(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])
            if len(rates) == 8:
                raise KeyboardInterrupt

    rates: list[float] = []
    changes = {
        "training.schedule": schedule,
        "training.learning_rate": 0.01,
        "objective": "vanilla",
    }
    recipe, run = read_recipe(recipe_file, changes), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run, callbacks=[Watch()])
    resume(run, callbacks=[Watch()])
    falling = [0.005 * (1 + math.cos(math.pi * step / 24)) for step in range(24)]
    # a resumed run repeats the steps after its last checkpoint
    assert rates[:8] == pytest.approx(falling[:8] if schedule == "cosine" else [0.01] * 8)
    again = len(rates) - 8
    assert rates[8:] == pytest.approx(falling[-again:] if schedule == "cosine" else [0.01] * again)


def test_a_trial_is_like_the_run(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES._parts, "witness", Witness)
    rows = trial(recipe_file)
    # a single sample tells the memory that is needed
    assert Witness.seen[0] == (1, False, torch.float32)
    assert set(Witness.seen[1:]) == {(6, False, torch.float32)}
    assert (rows["steps"], rows["precision"]) == ("8 of 6 images of 16×16", "32-true")
    assert rows["device"].startswith("1 × cpu, ")
    rows = trial(recipe_file, precision="bf16-mixed", devices=3)
    assert set(Witness.seen[1:]) == {(2, True, torch.bfloat16)}
    assert rows["steps"] == "8 of 6 images of 16×16, 2 on each of 3 devices"
    assert rows["precision"] == "bf16-mixed"
    assert rows["device"].startswith("3 × cpu, ")
    # what would be refused after the data was opened is refused before
    with pytest.raises(OptionError, match=r"data.batch 6 must be a multiple of the 4 devices"):
        trial(recipe_file, devices=2, nodes=2)


def test_a_trial_of_more_than_the_memory(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single samples stand in for the batch, and what it would take is told."""
    monkeypatch.setitem(OBJECTIVES._parts, "witness", Witness)
    free = SimpleNamespace(available=2**15)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    rows = trial(recipe_file)
    assert {size for size, *_ in Witness.seen} == {1}
    assert "MORE THAN THE 0 MB THAT ARE FREE: lower data.batch" in rows["peak memory"]
    free.available = 2**30
    assert "FREE" not in trial(recipe_file)["peak memory"]


def test_a_training_leaves_nothing_behind(recipe_file: Path) -> None:
    modules: list[weakref.ref[Any]] = []

    class Watch(lightning.Callback):
        def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
            modules.append(weakref.ref(pl_module))

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    short = {"training.images": 4, "objective": "vanilla"}
    train(read_recipe(recipe_file, short), recipe_file.parent / "run", callbacks=[Watch()])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    gc.collect()
    assert [module() for module in modules] == [None]
