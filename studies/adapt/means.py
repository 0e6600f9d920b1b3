"""The mean of the noise as the shipped model takes it, beside the true one.

    .venv/bin/python studies/adapt/means.py        # a minute on one core

Both by the brightness of what the model restores, over parts of the photos that are adapted to.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from summary import HERE, MEANS, readme

from noiseda import images, runtime
from noiseda.checkpoint import open_model, shipped_model
from noiseda.measurement import evenly

STUDY = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
# of 255: classes of brightness
EDGES = (32, 64, 96, 128, 160, 192)
PHOTOS, SIZE = 24, 384


@torch.no_grad()
def means(target: str) -> dict[str, list[float]]:
    """In 1/255, mean over colours, by class."""
    network, _ = open_model(shipped_model("denoise"))
    network = runtime.fast_layout(network).eval()
    folder, (names, _) = STUDY.folder_of(target), STUDY.split(target)
    clean = {path.stem: path for path in (folder / "clean").iterdir()}
    taken, true, brightness = [], [], []
    for name in evenly(names, PHOTOS):
        files = folder / "noisy" / name, clean[Path(name).stem]
        parts = (np.ascontiguousarray(images.read_rgb8(file)[:SIZE, :SIZE]) for file in files)
        noisy, truth = map(images.to_tensor, parts)
        restored = network(noisy.contiguous(memory_format=torch.channels_last)).clamp(0, 1)
        for values, image in ((taken, noisy - restored), (true, noisy - truth)):
            values.append(255 * image.flatten().numpy())
        brightness.append(255 * restored.flatten().numpy())
    place = np.digitize(np.concatenate(brightness), EDGES)
    classes = range(1, len(EDGES))
    return {
        name: [round(float(values[place == number].mean()), 2) for number in classes]
        for name, values in (("taken", np.concatenate(taken)), ("true", np.concatenate(true)))
    }


if __name__ == "__main__":
    runtime.prepare()
    found = {target: means(target) for target in (*STUDY.TARGETS, *STUDY.STRONG, *STUDY.NEW)}
    MEANS.write_text(json.dumps({"edges": EDGES, "means": found}, indent=1) + "\n")
    (HERE / "README.md").write_text(readme())
