"""What a recipe would cost: sizes, memory and time, measured on a few steps."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noiseda import runtime
from noiseda.adaptation import Batch
from noiseda.console import duration, progress_bar
from noiseda.data import BatchNumbers, loader
from noiseda.training.module import TrainingModule, clip
from noiseda.training.preparation import Prepared, prepare, processes, workers
from noiseda.training.recipe import Recipe
from noiseda.training.teaching import Teaching, teaching_seconds

_WARM_UP, _TIMED = 1, 3
# of photos, to make targets of
_WINDOWS = 2
# what the backward pass needs for a while, on top of what the forward one keeps
_MARGIN = 1.2
# seconds, after which a single timed step will do
_LONG = 20.0


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Attributes:
        step: seconds of a training step.
        targets: seconds of making the objective's targets, over all rounds; 0 if it has none.
        memory: peak, in bytes.
        free: bytes that there are, if `memory` is more than that.
    """

    step: float
    targets: float
    memory: int
    free: int | None = None


def cost(prepared: Prepared) -> Cost:
    """Try a few steps of a run; its networks are changed by them. If they would not fit into the
    memory, single samples are tried, and what all of them take follows from that."""
    device, ranks = runtime.best_device(), processes(prepared.recipe)
    samples, parts = prepared.recipe.data.batch // ranks, prepared.recipe.training.accumulate
    with tempfile.TemporaryDirectory(prefix="noiseda-") as folder:
        targets = _seconds_of_targets(prepared, Path(folder))
        held, free = _peak(device), runtime.free_memory(device)
        needed = _needed(prepared, device, -(-samples // parts))
        if needed > free:
            one, two = (_seconds_per_step(prepared, device, ranks, samples, n) for n in (1, 2))
            step = one + (samples - 1) * max(two - one, 0.0)
            return Cost(step, targets, int(needed) + held, free)
        step = _seconds_per_step(prepared, device, ranks, parts)
    return Cost(step, targets, _peak(device))


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else runtime.peak_memory()


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
        "peak memory": f"about {memory / 2**20:.0f} MB{_warning(found)}",
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
    wanted = Teaching(prepared.module, prepared.samples, steps, folder)
    tried = Teaching(prepared.module, prepared.samples, steps, folder, most=_WINDOWS)
    tried.begin(0, prepared.module, None)
    share = wanted.makings * len(wanted.windows) / len(tried.windows)
    return share * teaching_seconds(folder)


def _warning(found: Cost) -> str:
    if found.free is None:
        return ""
    return (
        f", MORE THAN THE {found.free / 2**20:.0f} MB THAT ARE FREE: lower data.batch or "
        "data.patch, or raise training.accumulate"
    )


def _needed(prepared: Prepared, device: torch.device, samples: int) -> float:
    """Bytes that a step takes beside what is there before the first one."""
    weights = sum(weight.nbytes for weight in prepared.module.parameters() if weight.requires_grad)
    # their gradients and Adam's two averages
    return 3 * weights + _MARGIN * samples * _sample_bytes(prepared, device)


def _sample_bytes(prepared: Prepared, device: torch.device) -> int:
    """What the forward pass of a single sample keeps for the backward one."""
    module = prepared.module.to(device)
    numbers = BatchNumbers(1, prepared.recipe.data.batch, ranks=processes(prepared.recipe))
    batch = _moved(next(iter(loader(prepared.samples, numbers))), module, device)
    weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # the graph, and what it keeps, lives as long as its result
        terms = _terms(prepared, device, {role: value[:1] for role, value in batch.items()})
    del terms
    return sum(kept.values())


def _moved(batch: dict[str, Any], module: TrainingModule, device: torch.device) -> Batch:
    return {
        role: value.to(device, memory_format=module.format)
        for role, value in batch.items()
        if isinstance(value, Tensor) and role != "number"
    }


def _terms(prepared: Prepared, device: torch.device, images: Batch) -> dict[str, Tensor]:
    """The objective's, in the run's precision."""
    precision, module = prepared.recipe.training.precision, prepared.module
    kind = torch.float16 if precision == "16-mixed" else torch.bfloat16
    with torch.autocast(device.type, kind, enabled=precision != "32-true"):
        return module.objective(module.restorer, images, progress=0.5)


def _seconds_per_step(
    prepared: Prepared, device: torch.device, ranks: int, parts: int, most: int | None = None
) -> float:
    """The median time of a step with one device's share of the batch in so many parts, of which
    at most `most` are done."""
    recipe, module = prepared.recipe, prepared.module.to(device)
    optimizer = module.configure_optimizers()
    steps = _WARM_UP + _TIMED
    batches = iter(loader(prepared.samples, BatchNumbers(steps, recipe.data.batch, ranks=ranks)))
    seconds = []
    with progress_bar("steps") as bar:
        task = bar.add_task("trying", total=steps, note="")
        for number in range(steps):
            if sum(seconds) > _LONG and number:
                break
            start = time.perf_counter()
            batch = _moved(next(batches), module, device)
            optimizer.zero_grad()
            every = zip(*(value.chunk(parts) for value in batch.values()), strict=True)
            for part in itertools.islice(every, most):
                terms = _terms(prepared, device, dict(zip(batch, part, strict=True)))
                (terms["loss"] / parts).backward()
            clip(module.restorer, recipe.training.clip_norm)
            optimizer.step()
            module.average.update_parameters(module.restorer)
            float(terms["loss"].detach())
            seconds.append(time.perf_counter() - start)
            bar.advance(task)
    return statistics.median(seconds[_WARM_UP:] or seconds)
