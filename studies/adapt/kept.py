"""Which share of the photos' noise the start models leave, by which a warm-up is decided.

    .venv/bin/python studies/adapt/kept.py        # a minute on one core

As a run decides it: the noise is measured in the photos that are adapted to, the share in eight of
them (`training.warm_up`).
"""

from __future__ import annotations

import json
import runpy
from types import SimpleNamespace

from summary import HERE, KEPT, readme

from noiseda import images, runtime
from noiseda.checkpoint import open_model, shipped_model
from noiseda.judgement import kept_share
from noiseda.measurement import evenly, matched_options, measure

STUDY = SimpleNamespace(**runpy.run_path(str(HERE.parent / "adaptation" / "targets.py")))
STARTS = {"shipped": shipped_model("denoise"), "vanilla": STUDY.START}
# photos whose noise is measured, and those that are restored
MEASURED, RESTORED = 64, 8


def kept(target: str) -> dict[str, float | int]:
    folder, (names, _) = STUDY.folder_of(target) / "noisy", STUDY.split(target)
    noise = measure(images.read_rgb8(folder / name) for name in evenly(names, MEASURED))
    shown = [images.read_rgb8(folder / name) for name in evenly(names, RESTORED)]
    options = matched_options(noise)
    shares = {
        start: round(kept_share(open_model(file)[0], shown, options), 3)
        for start, file in STARTS.items()
    }
    return {
        "sigma": round(noise.overall, 2),
        "uneven": noise.uneven,
        "photos": noise.photos,
        **shares,
    }


if __name__ == "__main__":
    runtime.prepare()
    found = {target: kept(target) for target in (*STUDY.TARGETS, *STUDY.STRONG, *STUDY.NEW)}
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "README.md").write_text(readme())
