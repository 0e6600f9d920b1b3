"""What a recipe would cost: sizes, memory and time, measured on a few steps."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from noiseda import runtime
from noiseda.console import duration, progress_bar
from noiseda.data import BatchNumbers, loader
from noiseda.training.module import clip
from noiseda.training.preparation import Prepared, prepare, processes, workers
from noiseda.training.recipe import Recipe
from noiseda.training.teaching import Teaching, teaching_seconds

_WARM_UP, _TIMED = 1, 3
# of photos, to make targets of
_WINDOWS = 2


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Attributes:
        step: seconds of a training step.
        targets: seconds of making the objective's targets, over all rounds; 0 if it has none.
        memory: peak, in bytes.
    """

    step: float
    targets: float
    memory: int


def cost(prepared: Prepared) -> Cost:
    """Try a few steps of a run; its networks are changed by them."""
    device, ranks = runtime.best_device(), processes(prepared.recipe)
    with tempfile.TemporaryDirectory(prefix="noiseda-") as folder:
        targets = _seconds_of_targets(prepared, Path(folder))
        step = _seconds_per_step(prepared, device, ranks)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else runtime.peak_memory()
    return Cost(step, targets, memory)


def probe(recipe: Recipe) -> str:
    """The resolved recipe and a summary: networks, data, memory and time.

    Runs a few training steps on this machine's device and throws them away.

    Raises:
        NoiseDAError: as for training.
    """
    prepared = prepare(recipe, recipe.training.start)
    device, ranks = runtime.best_device(), processes(recipe)
    found = cost(prepared)
    per_step, targets, memory = found.step, found.targets, found.memory
    module, data, training = prepared.module, recipe.data, recipe.training
    auxiliary = sum(weight.numel() for weight in module.objective.parameters()) / 1e6
    stores = {role: store for role, store in prepared.samples.stores.items() if store}
    share = f", {data.batch // ranks} on each of {ranks} devices" if ranks > 1 else ""
    if training.accumulate > 1:
        share += f", in {training.accumulate} parts"
    rows = {
        "restoration network": f"{module.restorer.spec.parameters / 1e6:.3f} M parameters",
        "thrown away afterwards": f"{auxiliary:.3f} M parameters",
        **{f"{role} images": str(len(store)) for role, store in stores.items()},
        "validation pairs": str(len(prepared.validation)),
        "steps": f"{recipe.steps} of {data.batch} images of {data.patch}×{data.patch}{share}",
        "device": f"{ranks} × {device.type}, {torch.get_num_threads()} threads, "
        f"{workers(recipe)} loader workers",
        "precision": training.precision,
        "peak memory": f"about {memory / 2**20:.0f} MB",
        "time": f"about {per_step:.2f} s a step, {duration(per_step * recipe.steps)} in all "
        f"(without validation{' and communication' if ranks > 1 else ''})",
    }
    if targets:
        rows["targets"] = f"about {duration(targets)} to make, over all rounds"
    width = max(map(len, rows))
    summary = "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
    return f"{recipe.to_yaml()}\n{summary}"


def _seconds_of_targets(prepared: Prepared, folder: Path) -> float:
    """Make a few targets, if the objective needs any, and tell how long all of them take."""
    objective = prepared.module.objective
    if not objective.rounds:
        return 0.0
    steps = prepared.recipe.steps
    wanted = Teaching(objective, prepared.samples, steps, folder)
    tried = Teaching(objective, prepared.samples, steps, folder, most=_WINDOWS)
    tried.begin(0, prepared.module, None)
    share = len(wanted.starts) * len(wanted.windows) / len(tried.windows)
    return share * teaching_seconds(folder)


def _seconds_per_step(prepared: Prepared, device: torch.device, ranks: int) -> float:
    """The median time of a step with one device's part of the batch, in the run's precision."""
    recipe, module = prepared.recipe, prepared.module.to(device)
    parts = recipe.training.accumulate
    mixed = recipe.training.precision != "32-true"
    kind = torch.float16 if recipe.training.precision == "16-mixed" else torch.bfloat16
    optimizer = module.configure_optimizers()
    steps = _WARM_UP + _TIMED
    batches = iter(loader(prepared.samples, BatchNumbers(steps, recipe.data.batch, ranks=ranks)))
    seconds = []
    with progress_bar("steps") as bar:
        task = bar.add_task("trying", total=steps, note="")
        for _ in range(steps):
            start = time.perf_counter()
            batch = {
                role: value.to(device, memory_format=module.format)
                for role, value in next(batches).items()
                if isinstance(value, torch.Tensor) and role != "number"
            }
            optimizer.zero_grad()
            for part in zip(*(value.chunk(parts) for value in batch.values()), strict=True):
                images = dict(zip(batch, part, strict=True))
                with torch.autocast(device.type, kind, enabled=mixed):
                    terms = module.objective(module.restorer, images, progress=0.5)
                (terms["loss"] / parts).backward()
            clip(module.restorer, recipe.training.clip_norm)
            optimizer.step()
            module.average.update_parameters(module.restorer)
            float(terms["loss"].detach())
            seconds.append(time.perf_counter() - start)
            bar.advance(task)
    return sorted(seconds[_WARM_UP:])[_TIMED // 2]
