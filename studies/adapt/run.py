"""`noiseda adapt` on photos whose ground truth is known: what it gains, and what it says of that.

    .venv/bin/python studies/adapt/run.py                # all from the shipped model (resumable)
    .venv/bin/python studies/adapt/run.py --targets renoir --starts shipped
    .venv/bin/python studies/adapt/run.py --targets renoir/4 --starts shipped    # of its photos 4
    .venv/bin/python studies/adapt/run.py --starts shipped --judge-again    # the verdicts alone

Data: ../shared/data beside the project, or $NOISEDA_DATA. Runs go to runs/adapt.
"""

from __future__ import annotations

import argparse
import json
import runpy
import shutil
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

from summary import HERE, RESULTS, readme

from noiseda import images, runtime
from noiseda.checkpoint import open_model, save, shipped_model
from noiseda.evaluation import protocol
from noiseda.files import write_whole
from noiseda.restoration import load
from noiseda.tailoring import look, tailor
from noiseda.tailoring.plan import Given
from noiseda.tailoring.results import adapted_model, judged

STUDY = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
RUNS: Path = STUDY.RUNS.parent / "adapt"
STARTS = {
    "shipped": shipped_model("denoise"),
    "vanilla": STUDY.START,
}
MINUTES = 15.0
# of a target's photos only so many
FEW = ("renoir/1", "renoir/3", "renoir/4", "polyu/1", "polyu/4")


def home_of(target: str, start: str) -> Path:
    return RUNS / f"{target.replace('/', '-')}-{start}"


def adapt(target: str, start: str, minutes: float) -> dict[str, object]:
    """One run, with what is true of it."""
    home = home_of(target, start)
    target, _, few = target.partition("/")
    training, held_out = STUDY.split(target)
    count = int(few or len(training))
    # spread over all, as neighbours show the same scene
    training = [training[number * len(training) // count] for number in range(count)]
    source = STUDY.folder_of(target)
    photos, folder, model = home / "photos", home / "adapted", home / "adapted.safetensors"
    photos.mkdir(parents=True, exist_ok=True)
    for name in training:
        if not (photos / name).exists():
            shutil.copyfile(source / "noisy" / name, photos / name)

    def say(text: str) -> None:
        print(text, flush=True)
        trained = folder / "work" / "run" / "model.safetensors"
        # it is gone at the end if the verdict is against it
        if trained.is_file():
            shutil.copyfile(trained, model)

    state = folder / "adapt.json"
    if not (state.is_file() and json.loads(state.read_text())["finished"]):
        tailor(photos, folder, STARTS[start], minutes, say=say)
    found = json.loads(state.read_text())
    network, info = open_model(STARTS[start])
    seen = look(photos, info)
    kept_back = seen.held_out
    if "share_of_adaptation" not in open_model(model)[1].provenance:
        # of very few photos what is judged is not what training ended with
        given = Given(photos, STARTS[start], network, info, 0)
        adapted, told = adapted_model(given, seen, model)
        save(model, adapted, task=told.task, recipe=told.recipe, provenance=told.provenance)
    change = {
        name: gain(source, names, STARTS[start], model)
        for name, names in (("kept_back", kept_back), ("held_out", held_out))
    }
    times = {stage: round(seconds) for stage, seconds in found["times"].items()}
    kept = {key: found[key] for key in ("steps", "kept", "verdict")}
    return {**kept, "photos": len(training), "times": times, **change}


def gain(source: Path, names: list[str], start: Path, adapted: Path) -> dict[str, object]:
    """PSNR in dB of both models on photos with ground truth, and their difference by photo."""
    clean = {path.stem: path for path in (source / "clean").iterdir()}
    score = protocol("rgb").score
    values = []
    for model in (start, adapted):
        restorer = load(model)
        values.append([])
        for name in names:
            restored = restorer.pixels(images.read_rgb8(source / "noisy" / name))
            truth = images.to_tensor(images.read_rgb8(clean[Path(name).stem]))
            values[-1].append(float(score(images.to_tensor(restored), truth)["psnr"][0]))
    before, after = values
    return {
        "start": round(fmean(before), 3),
        "adapted": round(fmean(after), 3),
        "by_photo": [round(b - a, 3) for a, b in zip(before, after, strict=True)],
    }


def judged_again(target: str, start: str) -> dict[str, object]:
    """The verdict of the judge as it is now."""
    home = home_of(target, start)
    network, info = open_model(STARTS[start])
    given = Given(home / "photos", STARTS[start], network, info, 0)
    adapted, _ = open_model(home / "adapted.safetensors")
    verdict = judged(given, look(given.photos, info), adapted)
    return {"verdict": asdict(verdict), "kept": "adapted" if verdict.worth_keeping else "start"}


def results() -> dict[str, dict[str, object]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--targets", default=",".join((*STUDY.TARGETS, *STUDY.STRONG, *STUDY.NEW, *FEW))
    )
    parser.add_argument("--starts", default="shipped", help=f"of {', '.join(STARTS)}")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--judge-again", action="store_true", help="runs that are there")
    given = parser.parse_args()
    runtime.prepare()
    for start in given.starts.split(","):
        for target in given.targets.split(","):
            name = f"{target} from {start}"
            known = results().get(name)
            if known is None:
                known = {"minutes": given.minutes, **adapt(target, start, given.minutes)}
            elif given.judge_again:
                known |= judged_again(target, start)
            else:
                continue
            # another process may have written its own beside it
            content = json.dumps({**results(), name: known}, indent=1) + "\n"
            write_whole(RESULTS, content.encode())
    (HERE / "README.md").write_text(readme())
