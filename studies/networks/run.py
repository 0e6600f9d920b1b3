"""Every network: what it costs, and vanilla against adapted after the same short training.

    .venv/bin/python studies/networks/run.py                          # everything (resumable)
    .venv/bin/python studies/networks/run.py --networks unet,nafnet
    .venv/bin/python studies/networks/run.py --methods input,vanilla,two-scale,noise-space

Sizes are chosen so that all train in minutes on a CPU; they are not the published ones. Data:
RENOIR and BSDS500 in ../shared/data beside the project, or $NOISEDA_DATA. Runs go to
runs/networks, results to this folder.
"""

from __future__ import annotations

import argparse
import json
import runpy
import statistics
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from noiseda import networks, runtime
from noiseda.adaptation import charbonnier
from noiseda.checkpoint import ModelInfo
from noiseda.comparison import Comparison
from noiseda.restoration import Restorer
from noiseda.training import read_recipe

HERE = Path(__file__).resolve().parent
TARGETS = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
RUNS = HERE.parents[1] / "runs" / "networks"
RECIPE = HERE / "recipe.yaml"
NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"width": 16, "upsampling": "half-pixel"},
    "dncnn": {"nc": 32, "nb": 12},
    "nafnet": {
        "width": 16,
        "middle_blk_num": 2,
        "enc_blk_nums": [1, 1, 2],
        "dec_blk_nums": [1, 1, 1],
    },
    "swinir": {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2]},
    "uformer": {"embed_dim": 8, "depths": [1] * 9, "num_heads": [1, 1, 2, 4, 8, 8, 4, 2, 1]}
    | {"win_size": 4},
    "restormer": {"dim": 16, "num_blocks": [1, 1, 1, 2], "num_refinement_blocks": 1},
}
# noise-space can be named, too; a step of it takes ten times as long
METHODS = ("input", "vanilla", "two-scale")
BATCH, PATCH, ROUNDS = 8, 64, 5


def step_seconds(network: networks.RestorationNetwork) -> float:
    """Median seconds of a vanilla training step."""
    network = runtime.fast_layout(network).train()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    times = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        degraded, clean = (torch.rand(BATCH, 3, PATCH, PATCH) for _ in range(2))
        optimizer.zero_grad()
        charbonnier(network(degraded), clean).backward()
        optimizer.step()
        times.append(time.perf_counter() - begin)
    # the first one allocates
    return statistics.median(times[1:])


def restoring_seconds(network: networks.RestorationNetwork, side: int) -> float:
    """Median seconds for a megapixel, of square photos, with the default memory."""
    info = ModelInfo(network=network.name, options=network.options)
    restore = Restorer(network, info, "cpu")
    photo = (torch.rand(side, side, 3) * 255).byte().numpy()
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        restore.pixels(photo)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6 / side**2


def measured(name: str, folder: Path, side: int) -> dict[str, Any]:
    """Costs of a network, measured once."""
    file = folder / "cost.json"
    if file.is_file():
        return json.loads(file.read_text())
    torch.manual_seed(0)
    with networks.without_memory():
        empty = networks.build(name, **NETWORKS[name])
    cost: dict[str, Any] = {"parameters": empty.spec.parameters, "macs": networks.macs(empty)}
    network = networks.build(name, **NETWORKS[name])
    cost["seconds_per_step"] = step_seconds(network)
    cost["seconds_per_megapixel"] = restoring_seconds(network, side)
    cost["threads"] = torch.get_num_threads()
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(cost, indent=1) + "\n")
    return cost


def compared(name: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Means of the scores on the held-out photos, by method."""
    keys = {
        **TARGETS.keys("renoir"),
        "name": name,
        "network": {"name": name, **NETWORKS[name]},
        **({"training.images": given.start} if given.start else {}),
        **({"compare.images": given.images} if given.images else {}),
    }
    recipe = read_recipe(RECIPE, keys)
    methods = given.methods.split(",")
    comparison = Comparison(recipe, folder, methods, seeds=given.seeds, views=("equal-steps",))
    results = comparison.run()
    rows = {row["method"]: row for row in results["summary"]}
    return {
        method: {key: rows[method][key]["mean"] for key in ("psnr", "ssim")} for method in methods
    }


def readme(results: dict[str, Any]) -> str:
    """This folder's README."""
    setting = results["setting"]
    threads = {row["threads"] for row in results["networks"].values()}
    seeds = f"{setting['seeds']} seed{'s' * (setting['seeds'] > 1)}"
    intro = (
        "Each network in a size that trains in minutes on a CPU (`run.py` lists the options), not "
        f"in the published ones; {seeds}. Times on {' or '.join(map(str, sorted(threads)))} CPU "
        f"threads; a step is vanilla, {BATCH} crops of {PATCH}×{PATCH}. PSNR [rgb] on the held-out "
        f"scenes of RENOIR after {setting['start']} images of vanilla training and "
        f"{setting['images']} more of each method, all with the same samples and settings, none "
        "tuned. Made by `make study-networks`."
    )
    lines = [
        "# Networks",
        "",
        textwrap.fill(intro, 100, break_long_words=False, break_on_hyphens=False),
        "",
        "| network | parameters | MACs at 128×128 | s/step | s/megapixel | "
        f"{' | '.join(setting['methods'])} |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(setting["methods"]),
    ]
    for name, row in results["networks"].items():
        values = [row["scores"].get(method, {}).get("psnr") for method in setting["methods"]]
        scores = " | ".join("" if value is None else f"{value:.2f}" for value in values)
        lines.append(
            f"| `{name}` | {row['parameters'] / 1e6:.3f} M | {row['macs'] / 1e9:.2f} G | "
            f"{row['seconds_per_step']:.3f} | {row['seconds_per_megapixel']:.1f} | {scores} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--start", type=int, help="images of the training that both continue")
    parser.add_argument("--images", type=int, help="images of each continuation")
    parser.add_argument("--side", type=int, default=1024, help="of the photo restored for its time")
    parser.add_argument("--to", type=Path, help="another folder for results and runs")
    parser.add_argument("--text", action="store_true", help="the README alone, from the results")
    given = parser.parse_args()
    if given.text:
        (HERE / "README.md").write_text(readme(json.loads((HERE / "results.json").read_text())))
        return
    runs, target = (given.to / "runs", given.to) if given.to else (RUNS, HERE)
    target.mkdir(parents=True, exist_ok=True)
    runtime.prepare()
    file = target / "results.json"
    plain = read_recipe(RECIPE, {**TARGETS.keys("renoir")})
    assert plain.compare is not None
    setting = {
        "methods": given.methods.split(","),
        "seeds": given.seeds,
        "start": given.start or plain.training.images,
        "images": given.images or plain.compare.images,
        "environment": runtime.environment(),
    }
    results = {"setting": setting, "networks": {}}
    if file.is_file():
        results["networks"] = json.loads(file.read_text())["networks"]
    names = given.networks.split(",")
    # what was done before is found in its folder; times first, while nothing else runs
    costs = {name: measured(name, runs / name, given.side) for name in names}
    for name, row in costs.items():
        row["scores"] = compared(name, runs / name / "comparison", given)
        results["networks"][name] = row
        file.write_text(json.dumps(results, indent=1) + "\n")
        (target / "README.md").write_text(readme(results))
        print(readme(results).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
