"""BSDS500 to PolyU and to RENOIR: input, vanilla, vanilla continued, noise-space adapted.

    .venv/bin/python studies/first-run/run.py            # train, score, write results (resumable)
    .venv/bin/python studies/first-run/run.py --timing   # steps per second, side by side, alone
    .venv/bin/python studies/first-run/run.py --report   # table and picture from the results

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/first-run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path

from noiseda.evaluation import evaluate, pair, to_json
from noiseda.images import read_rgb8
from noiseda.restoration import load
from noiseda.training import Recipe, is_finished, read_recipe, resume, train

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
RUNS = HERE.parents[1] / "runs" / "first-run"
RESULTS = HERE / "results.json"
SEEDS = (0, 1, 2)
CONTINUED = 4800
NOISE_SPACE = [
    "objective.name=noise-space",
    "objective.predictor.name=guided",
    "objective.predictor.base=16",
    "objective.predictor.multipliers=[1,2,4]",
    "objective.predictor.blocks=1",
    "objective.predictor.attention=[4]",
    "objective.predictor.head_channels=16",
]


def polyu_scene(name: str) -> str:
    """A PolyU file's scene: its name up to the last number."""
    return re.sub(r"_\d+\.\w+$", "", name)


def splits() -> dict[str, tuple[list[str], list[str]]]:
    """Patterns of training photos and held-out photos of each target."""
    names = sorted(path.name for path in (DATA / "polyu" / "noisy").iterdir())
    scenes = sorted({polyu_scene(name) for name in names})
    held_out = set(scenes[::4])
    polyu = [[n for n in names if (polyu_scene(n) in held_out) is held] for held in (False, True)]
    renoir = sorted(path.name for path in (DATA / "renoir" / "noisy").iterdir())
    return {
        "polyu": (polyu[0], polyu[1]),
        "renoir": (
            [name for name in renoir if int(name[:2]) <= 16],
            [name for name in renoir if int(name[:2]) >= 17],
        ),
    }


def recipe(seed: int, *overrides: str) -> Recipe:
    clean = f"data.clean=[{DATA}/bsds500/train,{DATA}/bsds500/test]"
    return read_recipe(HERE / "recipe.yaml", [clean, f"seed={seed}", *overrides])


def target_data(target: str) -> list[str]:
    names = ",".join(f'"{name}"' for name in splits()[target][0])
    return [f"data.real=[{{folder: {DATA}/{target}/noisy, include: [{names}]}}]"]


def stages(seed: int) -> list[tuple[str, Recipe, list[str]]]:
    """Every training of one seed: name, recipe, targets it is scored on. Continuations start from
    the vanilla model with another seed, the same for all, so that they see the same samples."""
    start = [f"training.start={RUNS / f'vanilla-{seed}'}", f"training.images={CONTINUED}"]
    after = seed + 100
    return [
        ("vanilla", recipe(seed), list(splits())),
        ("vanilla continued", recipe(after, *start), list(splits())),
        *(
            (
                f"noise-space {target}",
                recipe(after, *start, *NOISE_SPACE, *target_data(target)),
                [target],
            )
            for target in splits()
        ),
    ]


def run() -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": {}, "input": {}}
    for target, (_, held_out) in splits().items():
        results["input"].setdefault(target, score(target, held_out, None))
    for seed in SEEDS:
        for name, resolved, targets in stages(seed):
            folder = RUNS / f"{name.replace(' ', '-')}-{seed}"
            key = f"{name}/{seed}"
            if key in results["runs"]:
                continue
            begin = time.perf_counter()
            if not folder.exists():
                outcome = train(resolved, folder, key)
            else:
                outcome = None if is_finished(folder) else resume(folder, key)
            if outcome and not outcome.finished:
                raise SystemExit(130)
            seconds = time.perf_counter() - begin
            scores = {t: score(t, splits()[t][1], folder) for t in targets}
            results["runs"][key] = {
                "steps": resolved.steps,
                "seconds": round(seconds, 1),
                "scores": scores,
            }
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def score(target: str, held_out: list[str], model: Path | None) -> dict:
    """Scores on held-out photos of the restored image, or of the input if there is no model."""
    pairs = [
        item
        for item in pair(DATA / target / "noisy", DATA / target / "clean")
        if item[1].name in held_out
    ]
    restorer = load(model) if model else None
    images = (
        (
            name,
            restorer.pixels(read_rgb8(noisy)) if restorer else read_rgb8(noisy),
            read_rgb8(clean),
        )
        for name, noisy, clean in pairs
    )
    return to_json(evaluate(images, "rgb"))


def timing() -> None:
    """Seconds per step of both objectives, alternating, with nothing else running."""
    from noiseda.data import BatchNumbers, loader
    from noiseda.training import prepare

    prepared = {
        "vanilla": prepare(recipe(0)),
        "noise-space": prepare(recipe(0, *NOISE_SPACE, *target_data("renoir"))),
    }
    rounds = 25
    seconds: dict[str, list[float]] = {name: [] for name in prepared}
    state = {}
    for name, item in prepared.items():
        numbers = BatchNumbers(rounds, item.recipe.data.batch)
        state[name] = (iter(loader(item.samples, numbers)), item.module.configure_optimizers())
    for _ in range(rounds):
        for name, item in prepared.items():
            batches, optimizer = state[name]
            begin = time.perf_counter()
            optimizer.zero_grad()
            item.module.objective(item.module.restorer, next(batches), 0.5)["loss"].backward()
            optimizer.step()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values[5:]) for name, values in seconds.items()}
    results = json.loads(RESULTS.read_text())
    results["steps_per_second"] = {name: round(1 / value, 2) for name, value in medians.items()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timing", action="store_true")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    if given.timing:
        timing()
    elif given.report:
        from report import report

        report()
    else:
        run()
