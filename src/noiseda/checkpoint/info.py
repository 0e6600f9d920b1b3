"""What a model file says about itself."""

from __future__ import annotations

from typing import Any

import pydantic

FORMAT = 1
TASKS = ("denoise", "derain", "deblur")


class ModelInfo(pydantic.BaseModel):
    """Header of a model file.

    Attributes:
        format: version of the file's layout.
        network: registered name of the restoration network.
        options: all its options.
        task: "denoise", "derain" or "deblur".
        spec: what the network can take, for people and other programs; not read back.
        recipe: the resolved recipe of the run that made it, if one did.
        scores: measured means with protocol and data, for example
            `{"validation": {"protocol": "rgb", "psnr": 36.6, "ssim": 0.95, "images": 7}}`.
        provenance: what made the file: program version, step, images seen, start model.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    format: int = FORMAT
    network: str
    options: dict[str, Any]
    task: str = "denoise"
    spec: dict[str, Any] = {}
    recipe: dict[str, Any] | None = None
    scores: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
