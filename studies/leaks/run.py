"""How much of a known overlap `noiseda data check` finds, and how often it is wrong.

    .venv/bin/python studies/leaks/run.py

Two measurements on BSDS500 in ../shared/data or $NOISEDA_DATA: the images of its training and
validation that are in Rain100L (clean, and with rain), against the known list; and crops of
every fourth training image, changed in eight ways, against all of the training images and, as what
must not be found, BSDS500's test images.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from noiseda import images
from noiseda.data.checking import check
from noiseda.data.checking.features import resize

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
# side of the crop, scale, JPEG quality, σ of noise
CROPS = [(200, 1.0, 75, 0), (128, 1.0, 75, 0), (96, 1.0, 90, 0), (200, 0.7, 85, 0)]
CROPS += [(240, 0.5, 85, 0), (200, 1.3, 85, 0), (200, 1.0, 95, 25), (160, 0.85, 85, 5)]


def overlap(side: str) -> dict[str, Any]:
    """Rain100L's images on this side against BSDS500's train and val."""
    known = set((DATA / "rain100l" / "bsds500_overlap.txt").read_text().split())
    bsds = DATA / "bsds500"
    begin = time.perf_counter()
    report = check([bsds / "train", bsds / "val"], test=[DATA / "rain100l" / side])
    found = {finding.image.relative_to(bsds).as_posix() for finding in report.findings}
    return {
        "images": report.images,
        "seconds": round(time.perf_counter() - begin, 1),
        "known": len(known),
        "found": len(found & known),
        "others": len(found - known),
    }


def changed(pixels: np.ndarray, how: tuple[int, float, int, int], random: Any) -> np.ndarray:
    size, scale, quality, sigma = how
    top, left = (random.integers(side - size + 1) for side in pixels.shape[:2])
    crop = pixels[top : top + size, left : left + size].astype(np.float32)
    side = round(size * scale)
    crop = np.stack([resize(crop[..., band], side, side) for band in range(3)], axis=-1)
    crop = (crop + random.normal(0, sigma, crop.shape)).round().clip(0, 255).astype(np.uint8)
    return images.through_jpeg(np.ascontiguousarray(crop), quality)


def crops() -> dict[str, Any]:
    """Changed crops of training images against these, and unchanged other images."""
    random = np.random.default_rng(0)
    train = images.list_images(DATA / "bsds500" / "train")
    with tempfile.TemporaryDirectory() as name:
        for path in train[::4]:
            for number, how in enumerate(CROPS):
                target = Path(name) / f"{path.stem}_{number}.png"
                images.write(target, changed(images.read_rgb8(path), how, random))
        test = [Path(name), DATA / "bsds500" / "test"]
        report = check([DATA / "bsds500" / "train"], test=test)
    count = len(train[::4])
    right, wrong = [0] * len(CROPS), 0
    for finding in report.findings:
        assert finding.other is not None
        source, _, number = finding.other.stem.partition("_")
        if number and source == finding.image.stem:
            right[int(number)] += 1
        else:
            wrong += 1
    rows = [
        dict(zip(("side", "scale", "quality", "sigma"), how, strict=True)) | {"found": found}
        for how, found in zip(CROPS, right, strict=True)
    ]
    return {"of": count, "crops": rows, "wrong": wrong, "other_images": 200}


def main() -> None:
    results = {"clean": overlap("clean"), "rainy": overlap("rainy"), "changed": crops()}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        "# Leaks",
        "",
        "What `noiseda data check --test` finds (`make study-leaks`). BSDS500's train and val "
        "(300 images) against Rain100L (100), in which 91 of them are known to be:",
        "",
        "| Rain100L | found of 91 | others named | seconds |",
        "|---|---:|---:|---:|",
    ]
    for side in ("clean", "rainy"):
        row = results[side]
        lines.append(f"| {side} | {row['found']} | {row['others']} | {row['seconds']:.0f} |")
    part = results["changed"]
    lines += [
        "",
        f"Crops of {part['of']} training images, changed and saved as JPEG, against all 200; with "
        f"them BSDS500's {part['other_images']} test images, of which none is in it. Named "
        f"wrongly: {part['wrong']}.",
        "",
        "| crop | scaled by | JPEG | noise σ | found |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in part["crops"]:
        side, found = row["side"], row["found"] / part["of"]
        lines.append(
            f"| {side}×{side} | {row['scale']} | {row['quality']} | {row['sigma']} | {found:.0%} |"
        )
    lines += [
        "",
        "Whole images are also found flipped. What it does not look for: images that were turned "
        "by a quarter or stretched, flipped crops, and crops below about 64 pixels.",
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
