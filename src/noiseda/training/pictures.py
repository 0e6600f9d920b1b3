"""What the networks make of the batch, in TensorBoard."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from noiseda.training.module import TrainingModule

_MOST = 4


class BatchPictures(Callback):
    """Show the first images of a batch, degraded and restored: "batch/synthetic" and "batch/real",
    each also "… restored" by the weights being trained.

    Args:
        every: steps from one to the next; the last step of the run is always shown.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        wanted = step % self.every == 0 or step == pl_module.recipe.steps
        if not (trainer.is_global_zero and wanted):
            return
        pictures = self._pictures(pl_module, batch)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for name, images in pictures.items():
                    logger.experiment.add_images(f"batch/{name}", images, step)

    @torch.no_grad()
    def _pictures(self, module: TrainingModule, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """B×3×H×W in [0, 1] by name, with at most four images each."""
        network = module.restorer
        training = network.training
        # what some networks draw or count while training must not change the run
        network.eval()
        found = {}
        for domain in ("synthetic", "real"):
            if domain in batch:
                degraded = batch[domain][:_MOST]
                found[domain] = degraded
                found[f"{domain} restored"] = network(degraded)
        network.train(training)
        return {name: image.float().clamp(0, 1).cpu() for name, image in found.items()}
