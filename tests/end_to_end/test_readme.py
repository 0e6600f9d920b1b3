"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from noiseda import images, networks
from noiseda.checkpoint import save, write_published
from tests.conftest import ENVIRONMENT, photo, write_photos
from tests.end_to_end.conftest import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MEASURED = SimpleNamespace(**runpy.run_path(str(ROOT / "studies" / "measured.py")))
SUMMARY = SimpleNamespace(**runpy.run_path(str(ROOT / "studies" / "first-run" / "summary.py")))


# what `noiseda compare` is given
RECIPE = """
name: tiny
data:
  clean: clean
  real: {folder: photos, include: ["b/*"]}
  truth: photos
  validation: {degraded: noisy, clean: truth}
  patch: 16
  batch: 2
degradation: gaussian
network: {name: unet, width: 4, depth: 2, upsampling: half-pixel}
objective: vanilla
training: {images: 8}
compare:
  methods:
    two-scale: {windows: 2}
    noise-space:
      predictor: {name: guided, base: 4, multipliers: [1, 2], blocks: 1, head_channels: 4}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def prepare(folder: Path) -> None:
    """The folders and the model that the README's commands name."""
    write_photos(folder, ["photo.png"], (80, 96))
    names = ["photo.png", "a.png", "b/c.png", "b/e.png", "b/f.png"]
    write_photos(folder / "photos", names[1:], (80, 96))
    write_photos(folder / "more-photos", ["g.png"])
    write_photos(folder / "clean", ["d.png"])
    write_photos(folder / "truth", names, (80, 96))
    write_photos(folder / "noisy", names, (80, 96))
    (folder / "demo").mkdir()
    save(folder / "demo" / "model.safetensors", networks.build("unet", width=4, depth=2))
    network = networks.build("unet", width=4, depth=2, value_range="signed")
    write_published(folder / "published-derain.pth", network, "derain")
    (folder / "my-recipe.yaml").write_text(RECIPE)
    (folder / "held-out").mkdir()
    images.write(folder / "held-out" / "h.png", photo(80, 96, seed=50))
    with zipfile.ZipFile(folder / "SIDD_Medium_Srgb.zip", "w") as archive:
        for kind in ("NOISY", "GT"):
            name = f"0001_{kind}_SRGB_010.PNG"
            scene = "SIDD_Medium_Srgb/Data/0001_001_S6_00100_00060_3200_L"
            archive.write(folder / "photos" / "a.png", f"{scene}/{name}")


def test_commands(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare(tmp_path)
    monkeypatch.setenv("NOISEDA_CACHE", str(tmp_path / "cache"))
    text = [block.replace("\\\n", " ") for block in blocks("sh")]
    lines = [line.split("#")[0].strip() for block in text for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line]
    assert len(commands) > 8
    for program, *arguments in commands:
        if program == "make":
            run(["make", "--dry-run", *arguments], ROOT)
            continue
        assert program == "noiseda"
        if arguments[0] == "train" and arguments[1].endswith("-small"):
            # the same command on a shorter run
            arguments += ["--set", "training.images=16", "--set", "data.batch=2"]
            arguments += ["--set", "training.checkpoint_every=8", "--set", "network.width=4"]
        if "--resume" in arguments:
            # as if the run had been stopped after its last checkpoint
            (tmp_path / "my-run" / "model.safetensors").unlink()
        if arguments[0] == "adapt":
            arguments += ["--minutes", "0.1"]
        if arguments[0] == "compare":
            arguments += ["--seeds", "1", "--minutes", "0.05"]
        if "diagnose" in arguments:
            arguments += ["--images", "4", "--patch", "16"]
        code, _, err = command(*arguments)
        assert code == 0, (arguments, err)
    assert (tmp_path / "restored" / "b" / "c.png").exists()
    assert (tmp_path / "my-run" / "model.safetensors").exists()
    assert (tmp_path / "scores.json").exists()
    assert (tmp_path / "rainy" / "photo.png").exists()
    assert (tmp_path / "deblur-run" / "model.safetensors").exists()
    assert (tmp_path / "my-camera" / "report.html").exists()
    assert (tmp_path / "comparison" / "table.md").exists()
    assert (tmp_path / "derain-again.pth").exists()
    assert (tmp_path / "my-run" / "diagnosis" / "diagnosis.png").exists()
    assert (tmp_path / "drawn" / "samples.png").exists()
    assert (tmp_path / "sidd-crops" / "crops.json").exists()
    assert (tmp_path / "leaks.json").exists()


def test_python(tmp_path: Path) -> None:
    prepare(tmp_path)
    snippets = blocks("python")
    assert len(snippets) == 2
    printed = [run([sys.executable, "-c", snippet], tmp_path) for snippet in snippets]
    assert "receptive_radius" in printed[0]


def test_inline_commands_exist(tmp_path: Path) -> None:
    for command in re.findall(r"`(noiseda recipes [^`]+)`", README):
        assert run([sys.executable, "-m", *shlex.split(command)], tmp_path)
    targets = set(re.findall(r"`make ([\w-]+)`", README))
    assert {"demo", "check", "benchmark"} <= targets
    for target in targets:
        run(["make", "--dry-run", target], ROOT)


def test_figures_are_those_of_the_committed_results(tmp_path: Path) -> None:
    """With what is there; a result that is still to be measured is in neither."""
    run([sys.executable, str(ROOT / "studies" / "measured.py"), "--check"], tmp_path)
    assert MEASURED.parts(README)[1] == MEASURED.section(missing=[])
    folder = ROOT / "studies" / "first-run"
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "README.md").read_text() == SUMMARY.readme(results)
    for study in ("adapt", "adaptation", "verdict"):
        summary = runpy.run_path(str(ROOT / "studies" / study / "summary.py"))
        assert (ROOT / "studies" / study / "README.md").read_text() == summary["readme"]()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Result files, complete."""
    for file in MEASURED.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    benchmarks = json.loads((tmp_path / "benchmarks/results.json").read_text())
    benchmarks["memory"] = {"peak_mib": 2048, "seconds": 90}
    (tmp_path / "benchmarks/results.json").write_text(json.dumps(benchmarks))
    return tmp_path


def test_figures_follow_the_results(results: Path) -> None:
    section = MEASURED.section(results)
    assert "a 24-megapixel photo through the paper's U-Net in 2.0 GiB and 1.5 minutes" in (
        " ".join(section.split())
    )
    scores = json.loads((results / "docs/demo-scores.json").read_text())
    scores["vanilla"]["mean"] = {"psnr": 1.005, "ssim": 0.25}
    (results / "docs/demo-scores.json").write_text(json.dumps(scores))
    changed = set(MEASURED.section(results).splitlines()) - set(section.splitlines())
    assert changed == {"| vanilla | 1.00 | 0.2500 |"}


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("docs/demo-scores.json", "adapted"),
        ("studies/first-run/results.json", "steps_per_second"),
        ("studies/loader/results.json", "ratio"),
        ("studies/adaptation/results/renoir-equal-time-0.json", "summary"),
        ("studies/adapt/results.json", "renoir from shipped"),
        ("studies/verdict/results.json", "renoir from shipped"),
        *(("benchmarks/results.json", name) for name in ("restore", "step", "memory", "start")),
    ],
)
def test_missing_results_are_named(results: Path, file: str, key: str) -> None:
    content = json.loads((results / file).read_text())
    del content[key]
    (results / file).write_text(json.dumps(content))
    with pytest.raises(MEASURED.MissingError, match=rf"{file} has no entry {key}.*: make "):
        MEASURED.section(results)
    missing: list[str] = []
    MEASURED.section(results, missing)
    assert len(missing) == 1
    (results / file).unlink()
    with pytest.raises(MEASURED.MissingError, match=f"{file} is missing"):
        MEASURED.section(results)
