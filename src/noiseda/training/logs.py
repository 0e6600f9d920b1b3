"""metrics.jsonl: one JSON object a line, for people and scripts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class JsonLines(Logger):
    """Appends metrics to a file; each line has `step` and `images`.

    Args:
        path: the file.
        batch: samples of a step.
        resumed_at: lines of later steps are dropped: the run will write them again.
    """

    def __init__(self, path: Path, batch: int, resumed_at: int | None = None) -> None:
        super().__init__()
        self.path = path
        self.batch = batch
        if resumed_at is not None and rank_zero_only.rank == 0 and path.exists():
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= resumed_at]
            path.write_text("".join(f"{line}\n" for line in kept))

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The recipe is its own file."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        step = step or 0
        line: dict[str, Any] = {"step": step, "images": step * self.batch}
        for name, value in metrics.items():
            if name != "epoch":
                line[name] = value if math.isfinite(value) else None
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
