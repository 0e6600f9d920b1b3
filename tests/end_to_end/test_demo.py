"""The demo, shortened, does the whole job."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from noiseda import images, load
from tests.end_to_end.terminal import in_terminal, plain

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_demo(noiseda: Run, tmp_path: Path) -> None:
    # a name that must be taken as it is
    folder = tmp_path / "my: demo #1 ${x}"
    code, out, shown = in_terminal("demo", "-o", folder, "--scale", "0.004")
    assert code == 0, shown
    for word in (
        "input",
        "vanilla, continued",
        "adapted to the photos",
        "PSNR [rgb]",
        "SSIM [rgb]",
    ):
        assert word in out
    assert "without ground truth: The adapted" in out or "without ground truth: No diff" in out
    phases = ["making the data 19/19", "1/3 training on synthetic pairs 32/32"]
    phases += ["3/3 training on, for comparison 160/160", "restoring held-out photos 100%"]
    phases += ["scoring 12/12"]
    told = re.sub(r"[ ━╸╺]+", " ", plain(shown))
    for phase in phases:
        assert phase in told
    scores = json.loads((folder / "scores.json").read_text())
    assert all(len(found["images"]) == 3 for found in scores.values())
    assert (folder / "adapted" / "report.html").is_file()
    # the held-out photos were degraded, and none of the adapted network's training images is one
    clean, noisy = (
        images.list_images(folder / "data" / "held-out" / k) for k in ("clean", "noisy")
    )
    assert [path.name for path in clean] == [path.name for path in noisy]
    assert 15 < scores["input"]["mean"]["psnr"] < 32
    seen = {
        path.stem
        for part in ("clean", "photos")
        for path in images.list_images(folder / "data" / part)
    }
    assert not seen & {path.stem for path in clean}
    # what it leaves: the adapted network, what it restored, and a picture
    restored = images.read_rgb8(folder / "restored" / "adapted" / "chelsea.png")
    again = load(folder / "model.safetensors")(
        images.read_rgb8(folder / "data/held-out/noisy/chelsea.png")
    )
    assert np.array_equal(restored, again)
    assert images.size(folder / "comparison.png")[1] > 800

    # a second demo does not touch the first unasked
    refused = noiseda("demo", "-o", folder, "--scale", "0.004")
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    (folder / "mine.txt").write_text("not the demo's")
    refused = noiseda("demo", "-o", folder, "--overwrite")
    assert refused.returncode == 2
    assert (folder / "mine.txt").exists()
    assert (folder / "model.safetensors").exists()
