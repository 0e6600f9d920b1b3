"""The same run in parts, on several processes, in other precisions and memory formats, compiled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from noiseda.checkpoint import open_model
from noiseda.errors import OptionError
from noiseda.training import prepare, read_recipe, train
from noiseda.training.preparation import layout
from tests.conftest import ENVIRONMENT

STEPS = 20
# without dropout, whose masks depend on how a batch is shared
PREDICTOR = {"objective.predictor.dropout": 0.0}


def losses(folder: Path) -> list[dict[str, float]]:
    """Every loss term of every step."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return lines


def run(recipe_file: Path, name: str, **overrides: Any) -> tuple[list[dict[str, float]], Path]:
    """Six steps of four samples, unless overridden."""
    values = {"data.batch": 4, "training.images": 24, "training.log_every": 1}
    values |= {key.replace("__", "."): value for key, value in overrides.items()}
    if "objective" not in values:
        values |= PREDICTOR
    folder = recipe_file.parent / name
    train(read_recipe(recipe_file, values), folder)
    return losses(folder), folder


def close(ours: list[dict[str, float]], theirs: list[dict[str, float]], tolerance: float) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("objective", ["vanilla", "noise-space"])
def test_a_batch_in_parts_is_the_same_step(recipe_file: Path, objective: str) -> None:
    # of noise-space as long as no part's triplet has reached zero
    options = {"objective": "vanilla"} if objective == "vanilla" else {}
    whole, _ = run(recipe_file, "whole", **options)
    for parts in (2, 4):
        ours, folder = run(recipe_file, f"parts-{parts}", training__accumulate=parts, **options)
        close(ours, whole, 1e-5)
        # one optimiser step a batch, and as many images as before
        assert open_model(folder)[1].provenance["step"] == 6
        assert ours[-1]["images"] == 24
    # the parts do differ: half of the batch is another run
    half, _ = run(recipe_file, "half", data__batch=2, training__images=12, **options)
    assert abs(half[0]["train/loss"] - whole[0]["train/loss"]) > 1e-4


def test_parts_must_be_equal(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file, {"data.batch": 6, "training.accumulate": 4})
    with pytest.raises(OptionError, match=r"accumulate 4: each device's 6 images"):
        prepare(recipe)


SCRIPT = """
import json, sys
from pathlib import Path
import lightning, torch
from noiseda.training import read_recipe, train

class Keep(lightning.Callback):
    def on_train_end(self, trainer, module):
        torch.save(module.state_dict(), self.folder / f"rank{trainer.global_rank}.pt")

for name, overrides in json.loads(sys.argv[2]).items():
    keep = Keep()
    keep.folder = Path(name)
    train(read_recipe(sys.argv[1], overrides), Path(name), callbacks=[keep])
"""


def test_two_processes_are_one_with_the_doubled_batch(recipe_file: Path) -> None:
    """Started by torchrun, each with half of the batch."""
    home = recipe_file.parent
    base = {"training.images": 4 * STEPS, "data.batch": 4, "training.log_every": 1}
    runs = {
        "vanilla": {**base, "objective": "vanilla"},
        "noise-space": {**base, **PREDICTOR},
        "parts": {**base, "objective": "vanilla", "training.accumulate": 2},
    }
    (home / "script.py").write_text(SCRIPT)
    # decoded once, before two processes would do it at the same time
    for name, overrides in runs.items():
        train(read_recipe(recipe_file, overrides), home / f"one-{name}")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "script.py", str(recipe_file), json.dumps(runs)]
    done = subprocess.run(
        command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in runs:
        ours = losses(home / name)
        assert len(ours) == STEPS
        close(ours, losses(home / f"one-{name}"), 1e-5)
        first, second = (
            torch.load(home / name / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)
        )
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(value, second[key]), key


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1"}
SLURM = {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}


@pytest.mark.parametrize(
    ("manager", "variables"), [("torchrun", TORCHRUN), ("SLURM", SLURM)], ids=["torchrun", "slurm"]
)
def test_numbers_that_nobody_has_started(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch, manager: str, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=f"training.devices 4: {manager} has started 2"):
        prepare(read_recipe(recipe_file, {"training.devices": 4, "data.batch": 8}))
    with pytest.raises(OptionError, match=f"training.nodes 2: {manager} has started 1"):
        prepare(read_recipe(recipe_file, {"training.nodes": 2, "data.batch": 8}))
    assert layout(read_recipe(recipe_file)) == (2, 1)
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert layout(read_recipe(recipe_file)) == ((1, 1) if manager == "SLURM" else (2, 1))


def test_memory_format_does_not_change_the_result(recipe_file: Path) -> None:
    class Formats(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            weight = pl_module.restorer.body.down_path[0].block[2].weight
            self.last = weight.is_contiguous(memory_format=torch.channels_last)

    found = {}
    for last in (True, False):
        recipe = read_recipe(recipe_file, {"training.channels_last": last, "training.log_every": 1})
        formats = Formats()
        train(recipe, recipe_file.parent / str(last), callbacks=[formats])
        assert formats.last is last
        found[last] = losses(recipe_file.parent / str(last))
    # rounding grows with the steps
    close(found[True][:8], found[False][:8], 1e-4)


def test_bfloat16(recipe_file: Path) -> None:
    class Types(lightning.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            layer = pl_module.restorer.body.last
            self.seen = []
            self.hook = layer.register_forward_hook(
                lambda module, inputs, output: self.seen.append(output.dtype)
            )

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.hook.remove()

    types = Types()
    values = {"training.precision": "bf16-mixed", "training.log_every": 1, **PREDICTOR}
    train(read_recipe(recipe_file, values), recipe_file.parent / "mixed", callbacks=[types])
    assert torch.bfloat16 in types.seen
    values["training.precision"] = "32-true"
    train(read_recipe(recipe_file, values), recipe_file.parent / "full")
    # bfloat16 has eight bits of precision
    close(losses(recipe_file.parent / "mixed")[:4], losses(recipe_file.parent / "full")[:4], 0.05)
    weights = open_model(recipe_file.parent / "mixed")[0].state_dict().values()
    assert {weight.dtype for weight in weights} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="16-bit floats can be used here")
def test_sixteen_bit_floats_need_cuda(recipe_file: Path) -> None:
    with pytest.raises(OptionError, match="16-mixed needs CUDA"):
        prepare(read_recipe(recipe_file, {"training.precision": "16-mixed"}))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.parametrize(
    "objective",
    [{"objective": "vanilla"}, {"objective__predictor__multipliers": [1]}],
    ids=["vanilla", "noise-space"],
)
def test_compiled(recipe_file: Path, objective: dict[str, Any]) -> None:
    options = {**objective, "network__depth": 1, "training__images": 8}
    whole, _ = run(recipe_file, "plain", **options)
    ours, folder = run(recipe_file, "compiled", training__compile=True, **options)
    close(ours, whole, 1e-4)
    # the model is one like any other
    names = open_model(recipe_file.parent / "plain")[0].state_dict().keys()
    assert open_model(folder)[0].state_dict().keys() == names


def test_no_compiler(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(recipe_file.parent))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(OptionError, match=r"training.compile needs a C\+\+ compiler"):
        prepare(read_recipe(recipe_file, {"training.compile": True}))


def test_tensorboard_shows_the_batch(recipe_file: Path) -> None:
    options = {"training__images": 32, "training__images_every": 12}
    _, folder = run(recipe_file, "run", **options)
    events = EventAccumulator(str(folder))
    events.Reload()
    names = ["real", "real restored", "synthetic", "synthetic restored"]
    assert sorted(events.Tags()["images"]) == [f"batch/{name}" for name in names]
    for name in names:
        found = events.Images(f"batch/{name}")
        assert [event.step for event in found] == [3, 6, 8]
        # four crops of 16×16 side by side
        assert (found[0].width * found[0].height) == 4 * 16 * 16
    # they change nothing in the run
    without, _ = run(recipe_file, "without", **options | {"training__images_every": 1000})
    assert losses(folder) == without
