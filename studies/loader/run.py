"""Crops a second from the memory-mapped store against decoding a whole PNG for each crop.

    .venv/bin/python studies/loader/run.py

Both give the same thing: a random 64×64 crop, flipped or rotated, as a float tensor; they take
turns in one run. Data: RENOIR's noisy PNG files (512×512) in ../shared/data or $NOISEDA_DATA.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from noiseda import images
from noiseda.data import open_store
from noiseda.data.samples import random_crop, to_image
from noiseda.random import generator

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
PATCH, CROPS, ROUNDS = 64, 200, 5


def rate(crop: Callable[[int], torch.Tensor], count: int) -> float:
    begin = time.perf_counter()
    for number in range(count):
        crop(number)
    return count / (time.perf_counter() - begin)


def main() -> None:
    torch.set_num_threads(1)
    paths = images.list_images(DATA / "renoir" / "noisy")
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        store = open_store(paths, Path(cache))
        built = time.perf_counter() - begin

        def mapped(number: int) -> torch.Tensor:
            return to_image(random_crop(store, PATCH, generator(0, number)))

        class Decoded:
            """Looks like a store and decodes the file at every access."""

            def __len__(self) -> int:
                return len(paths)

            def __getitem__(self, index: int):
                return images.read_rgb8(paths[index])

        def decoded(number: int) -> torch.Tensor:
            return to_image(random_crop(Decoded(), PATCH, generator(0, number)))  # pyright: ignore[reportArgumentType]

        assert torch.equal(mapped(0), decoded(0))
        rates = [(rate(mapped, 20 * CROPS), rate(decoded, CROPS)) for _ in range(ROUNDS)]
    fast, slow = (statistics.median(values) for values in zip(*rates, strict=True))
    result = {
        "patch": PATCH,
        "images": len(paths),
        "crops_per_second": {"memory-mapped store": round(fast), "decoding a PNG": round(slow, 1)},
        "ratio": round(fast / slow, 1),
        "seconds_to_build_the_store": round(built, 2),
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "README.md").write_text(
        "# Loader\n\n"
        f"Random {PATCH}×{PATCH} crops of {len(paths)} PNG files of 512×512, one thread, both ways "
        "taking turns in one run (`make study-loader`); medians of "
        f"{ROUNDS} rounds.\n\n"
        "| crops from | per second |\n|---|---:|\n"
        f"| a whole PNG decoded for each crop | {slow:.0f} |\n"
        f"| the memory-mapped store | {fast:.0f} |\n\n"
        f"Ratio: {fast / slow:.0f}. Building the store took {built:.2f} s, once.\n"
    )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
