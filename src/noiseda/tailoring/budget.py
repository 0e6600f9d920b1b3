"""The time that adapting may take."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning

from noiseda.training import making_seconds


class Budget(lightning.Callback):
    """Ends training when its time is over: how fast the machine will be was only estimated.

    Args:
        until: when it is over, by `time.perf_counter`.
        fewest: steps that are done in any case.
        run: the run folder.

    Attributes:
        over: whether training was ended.
    """

    def __init__(self, until: float, fewest: int, run: Path) -> None:
        self.until = until
        self.fewest = fewest
        self.run = run
        self.over = False

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, steps = trainer.global_step, pl_module.recipe.steps
        if not self.fewest <= step < steps:
            return
        needed = 0.0
        if trainer.max_steps < steps and step == trainer.max_steps - 1:
            # the next round would begin with targets of its own
            needed = making_seconds(self.run)
        if time.perf_counter() + needed > self.until:
            self.over = True
            trainer.should_stop = True
