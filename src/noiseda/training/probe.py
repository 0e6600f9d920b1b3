"""What a recipe would cost: sizes, memory and time, measured on a few steps."""

from __future__ import annotations

import time

import torch

from noiseda import runtime
from noiseda.console import progress_bar
from noiseda.data import BatchNumbers, loader
from noiseda.training.module import clip
from noiseda.training.preparation import Prepared, prepare, processes, workers
from noiseda.training.recipe import Recipe

_WARM_UP, _TIMED = 1, 3


def probe(recipe: Recipe) -> str:
    """The resolved recipe and a summary: networks, data, memory and time.

    Runs a few training steps on this machine's device and throws them away.

    Raises:
        NoiseDAError: as for training.
    """
    prepared = prepare(recipe, recipe.training.start)
    device, ranks = runtime.best_device(), processes(recipe)
    per_step = _seconds_per_step(prepared, device, ranks)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else runtime.peak_memory()
    module, data, training = prepared.module, recipe.data, recipe.training
    auxiliary = sum(weight.numel() for weight in module.objective.parameters()) / 1e6
    stores = {role: store for role, store in prepared.samples.stores.items() if store}
    share = f", {data.batch // ranks} on each of {ranks} devices" if ranks > 1 else ""
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
        "time": f"about {per_step:.2f} s a step, {_duration(per_step * recipe.steps)} in all "
        f"(without validation{' and communication' if ranks > 1 else ''})",
    }
    width = max(map(len, rows))
    summary = "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
    return f"{recipe.to_yaml()}\n{summary}"


def _seconds_per_step(prepared: Prepared, device: torch.device, ranks: int) -> float:
    """The median time of a step with one device's part of the batch, in the run's precision."""
    recipe, module = prepared.recipe, prepared.module.to(device)
    mixed = recipe.training.precision == "bf16-mixed"
    optimizer = module.configure_optimizers()
    steps = _WARM_UP + _TIMED
    batches = iter(loader(prepared.samples, BatchNumbers(steps, recipe.data.batch, ranks=ranks)))
    seconds = []
    with progress_bar("steps") as bar:
        task = bar.add_task("trying", total=steps, note="")
        for _ in range(steps):
            start = time.perf_counter()
            batch = {
                role: value.to(device, memory_format=torch.channels_last)
                for role, value in next(batches).items()
                if isinstance(value, torch.Tensor) and role != "number"
            }
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                terms = module.objective(module.restorer, batch, progress=0.5)
            optimizer.zero_grad()
            terms["loss"].backward()
            clip(module.restorer, recipe.training.clip_norm)
            optimizer.step()
            module.average.update_parameters(module.restorer)
            float(terms["loss"].detach())
            seconds.append(time.perf_counter() - start)
            bar.advance(task)
    return sorted(seconds[_WARM_UP:])[_TIMED // 2]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
