"""What the set-up of layout, allocator and threads gains over plain PyTorch on this machine.

    .venv/bin/python benchmarks/speed.py restore   # 1024×1024 with the paper's U-Net
    .venv/bin/python benchmarks/speed.py step      # one noise-space step with the paper's sizes
    .venv/bin/python benchmarks/speed.py bfloat16  # the same step in bf16-mixed precision
    .venv/bin/python benchmarks/speed.py layers    # convolutions of that step in both layouts
    .venv/bin/python benchmarks/speed.py memory    # peak memory of a 24-megapixel photo
    .venv/bin/python benchmarks/speed.py start     # --help and import

Every variant runs in fresh processes, the variants in turn, so that both see the same machine.
Results go to benchmarks/results.json, one entry a benchmark; the ratio is what counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
BATCH, PATCH = 2, 128


def plain(body):
    """The U-Net's forward pass as the paper's figure reads, of the same weights."""
    import torch
    import torch.nn.functional as F

    def forward(image, place=None):
        skips = []
        for level, block in enumerate(body.down_path):
            image = block(F.avg_pool2d(image, 2) if level else image)
            skips.append(image)
        image = skips.pop()
        for block in body.up_path:
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=True)
            image = block.conv_block(torch.cat([block.conv_up(image), skips.pop()], 1))
        return body.last(image)

    body.forward = forward


def restore_naive() -> dict:
    """`model(x)` of a textbook U-Net in torch's defaults."""
    import torch

    from noiseda import networks

    torch.manual_seed(0)
    network = networks.build("unet").eval()
    plain(network.body)
    image = torch.rand(1, 3, 1024, 1024)
    with torch.no_grad():
        return timed(lambda: network(image), 3)


def restore_noiseda() -> dict:
    """The same through `Restorer`, as `noiseda restore` sets it up: tiles within 1 GB."""
    import torch

    from noiseda import networks, runtime
    from noiseda.checkpoint import ModelInfo
    from noiseda.restoration import Restorer

    runtime.prepare()
    torch.manual_seed(0)
    network = networks.build("unet")
    restorer = Restorer(network, ModelInfo(network=network.name, options=network.options))
    image = torch.rand(1, 3, 1024, 1024)
    return timed(lambda: restorer(image), 3)


def step_naive() -> dict:
    """The step as METHOD's equations read: one call after another, torch's defaults."""
    import torch
    import torch.nn.functional as F

    network, objective, batch, random = _step()
    plain(network.body)
    optimizer = torch.optim.Adam([*network.parameters(), *objective.parameters()], 1e-4)
    predictor, schedule = objective.predictor, objective.schedule

    def conditions(first, second, noisy):
        coin = (random.rand() > 0.5).view(-1, 1, 1, 1)
        return torch.cat(
            [noisy, torch.where(coin, second, first), torch.where(coin, first, second)], 1
        )

    def losses() -> tuple[torch.Tensor, torch.Tensor]:
        synthetic, real = network(batch["synthetic"]), network(batch["real"])
        gamma = schedule.sample_gamma(random.randint(1, 1000), random.rand(1))
        noise = random.randn(3, PATCH, PATCH)
        noisy = schedule.noisy(batch["clean"], gamma, noise)
        negative_synthetic = batch["synthetic"] + (real - batch["real"])
        negative_real = batch["real"] + (synthetic - batch["synthetic"])
        right = F.mse_loss(predictor(conditions(synthetic, real, noisy), gamma), noise)
        wrong = predictor(conditions(negative_synthetic, negative_real, noisy), gamma)
        triplet = (right - F.mse_loss(wrong, noise) + 0.1).clamp(min=0)
        restoration = ((synthetic - batch["clean"]).square() + 1e-6).sqrt().mean()
        return restoration, (right + triplet) / 2

    def step() -> list[float]:
        restoration, diffusion = losses()
        optimizer.zero_grad()
        (restoration + 0.2 * diffusion).backward()
        optimizer.step()
        return [float(restoration.detach()), float(diffusion.detach())]

    return timed(step, 2)


def step_noiseda(precision: str = "float32") -> dict:
    """The step as training runs it."""
    import torch

    from noiseda import runtime

    runtime.prepare()
    network, objective, batch, random = _step()
    runtime.fast_layout(network)
    runtime.fast_layout(objective)
    batch = {n: v.contiguous(memory_format=torch.channels_last) for n, v in batch.items()}
    parameters = [*network.parameters(), *objective.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-4, fused=True)

    def step() -> list[float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            terms = objective(network, batch, 1.0, random)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        return [float(terms["restoration"].detach()), float(terms["diffusion"].detach())]

    return timed(step, 2)


def step_bfloat16() -> dict:
    """The step in `training.precision: bf16-mixed`."""
    return step_noiseda("bfloat16")


def _step():
    """The paper's networks without dropout, whose draws would differ, and the same draws."""
    import torch

    from noiseda import adaptation, networks
    from noiseda.random import BatchRandom

    torch.manual_seed(0)
    network = networks.build("unet")
    objective = adaptation.build("noise-space", ramp=0, predictor={"name": "guided", "dropout": 0})
    assert isinstance(objective, adaptation.NoiseSpace)
    batch = {name: torch.rand(BATCH, 3, PATCH, PATCH) for name in ("clean", "synthetic", "real")}
    return network, objective, batch, BatchRandom.for_samples(0, range(BATCH), "benchmark")


def timed(call, repeats: int) -> dict:
    """Seconds of each call after a first one, whose result is kept, and peak memory."""
    from noiseda import runtime

    first = call()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    result = {"seconds": seconds, "peak_bytes": runtime.peak_memory()}
    return {**result, "losses": first} if isinstance(first, list) else result


def fresh(function: str) -> dict:
    """Run one of the functions above in a new Python."""
    code = f"import json, speed; print(json.dumps(speed.{function}()))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def side_by_side(what: str, rounds: int, baseline: str = "naive", other: str = "noiseda") -> dict:
    variants: dict[str, list[dict]] = {baseline: [], other: []}
    for _ in range(rounds):
        for name, found in variants.items():
            found.append(fresh(f"{what}_{name}"))
    summary = {}
    for name, found in variants.items():
        summary[name] = {
            "median_seconds": statistics.median([s for one in found for s in one["seconds"]]),
            "peak_mib": round(max(one["peak_bytes"] for one in found) / 2**20),
        }
        if "losses" in found[0]:
            summary[name]["losses"] = found[0]["losses"]
    summary["time_ratio"] = summary[other]["median_seconds"] / summary[baseline]["median_seconds"]
    return summary


def restore() -> dict:
    summary = side_by_side("restore", 3)
    megapixels = 1024 * 1024 / 1e6
    for name in ("naive", "noiseda"):
        summary[name]["megapixels_per_second"] = megapixels / summary[name]["median_seconds"]
    return {**summary, "speed_ratio": 1 / summary["time_ratio"]}


def step() -> dict:
    return side_by_side("step", 2)


def bfloat16() -> dict:
    return side_by_side("step", 1, "noiseda", "bfloat16")


def layers() -> dict:
    """GFLOPS of 3×3 convolutions as the step has them: forward, and the two backward passes."""
    import torch

    from noiseda import runtime

    runtime.prepare()
    backward = torch.ops.aten.convolution_backward
    found = {}
    for inside, outside, size in ((64, 64, 128), (128, 128, 64), (256, 256, 32), (512, 512, 16)):
        work = 2 * 2 * BATCH * inside * outside * 9 * size * size / 1e9
        for name, layout in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
            image = torch.randn(2 * BATCH, inside, size, size).contiguous(memory_format=layout)
            weight = torch.randn(outside, inside, 3, 3).contiguous(memory_format=layout)
            gradient = torch.conv2d(image, weight, padding=1)

            def back(mask, of=(gradient, image, weight)):
                return backward(*of, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)

            calls = {
                "forward": lambda x=image, w=weight: torch.conv2d(x, w, padding=1),
                "backward_image": lambda run=back: run([True, False, False]),
                "backward_weight": lambda run=back: run([False, True, False]),
            }
            found[f"{inside}x{size}x{size} {name}"] = {
                part: round(work / min(timed(call, 8)["seconds"])) for part, call in calls.items()
            }
    return found


def memory() -> dict:
    """Peak resident memory and time of `noiseda restore` on 6000×4000 with the paper's U-Net."""
    import numpy as np

    from noiseda import images, networks
    from noiseda.checkpoint import save

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        # noise over a gradient: neither trivial to decode nor to encode
        gradient = np.linspace(40, 200, 6000)[None, :, None]
        noise = np.random.default_rng(0).normal(0, 10, (4000, 6000, 3))
        images.write(base / "photo.jpg", (gradient + noise).clip(0, 255).astype(np.uint8))
        save(base / "paper.safetensors", networks.build("unet"))
        code = "from noiseda.cli import main\ntry: main()\nfinally:\n import noiseda.runtime as r\n"
        code += " print(r.peak_memory())"
        command = [sys.executable, "-c", code, "restore", base / "photo.jpg", "-o", base / "out"]
        begin = time.perf_counter()
        done = subprocess.run(
            [*map(str, command), "--model", str(base / "paper.safetensors")],
            check=True,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - begin
    return {"peak_mib": round(int(done.stdout.splitlines()[-1]) / 2**20), "seconds": seconds}


def start() -> dict:
    commands = {"help": ["-m", "noiseda", "--help"], "import": ["-c", "import noiseda"]}
    medians = {}
    for name, arguments in commands.items():
        seconds = []
        for _ in range(7):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds.append(time.perf_counter() - begin)
        medians[f"{name}_seconds"] = statistics.median(seconds)
    return medians


if __name__ == "__main__":
    known = {
        function.__name__: function for function in (restore, step, bfloat16, layers, memory, start)
    }
    for wanted in sys.argv[1:] or known:
        result = known[wanted]()
        print(wanted, json.dumps(result, indent=1))
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**results, wanted: result}, indent=1) + "\n")
