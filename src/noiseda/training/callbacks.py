"""What happens around a training step: progress, scores, checkpoints, stopping on request."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from rich.progress import Progress, TaskID

from noiseda import images
from noiseda.checkpoint import ModelInfo
from noiseda.console import progress_bar
from noiseda.evaluation import TASK_PROTOCOLS, protocol
from noiseda.restoration import Restorer
from noiseda.training.module import TrainingModule


def checkpoints_every(folder: Path, steps: int) -> ModelCheckpoint:
    """Write the whole state every `steps` steps; the newest is kept, the one before it is removed
    once the new one is whole."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="{step:09d}",
        auto_insert_metric_name=False,
        every_n_train_steps=steps,
        save_top_k=1,
        save_on_train_epoch_end=False,
    )


class LastCheckpoint(Callback):
    """Write the state of the last step, of the run or of a round, also where that is no multiple of
    `every` steps: the next round continues from it, and of a finished run it alone holds the
    networks that the model file leaves out.

    Args:
        folder: of the checkpoints; older ones in it are removed once the new one is whole.
        every: interval of `checkpoints_every`, which writes the others.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step < trainer.max_steps or step % self.every == 0:
            return
        older = [path for path in self.folder.glob("*.ckpt") if path.stem.isdigit()]
        trainer.save_checkpoint(checkpoint_path(self.folder, step))
        for path in older:
            trainer.strategy.remove_checkpoint(path)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"{step:09d}.ckpt"


class ProgressBar(Callback):
    """Progress in images, with the ETA, the loss and the latest validation score."""

    def __init__(self, description: str) -> None:
        self.description = description
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self._batch = pl_module.recipe.data.batch
        self._bar = progress_bar("images")
        done = trainer.global_step * self._batch
        steps = pl_module.recipe.steps
        self._task = self._bar.add_task(
            self.description, total=steps * self._batch, note=f"{steps} steps"
        )
        self._bar.start()
        # the ETA must come from this process's speed, so what was done before is not "advanced"
        self._bar.update(self._task, completed=done)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar:
            metrics = trainer.callback_metrics
            note = f"loss {float(metrics['train/loss']):.4f}"
            if "validation/psnr" in metrics:
                judged = TASK_PROTOCOLS[pl_module.recipe.task]
                note += f"  validation {float(metrics['validation/psnr']):.2f} dB [{judged}]"
            self._bar.update(self._task, advance=self._batch, note=note)

    @contextlib.contextmanager
    def phase(self, description: str, total: int) -> Iterator[Callable[[], None]]:
        """Something else that training waits for, shown below it; yields what to call after each
        of its `total` images."""
        bar = self._bar
        if bar is None:
            yield lambda: None
            return
        task = bar.add_task(description, total=total, note="")
        try:
            yield lambda: bar.advance(task)
        finally:
            bar.remove_task(task)

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: Any) -> None:
        # Lightning does not tear down then; a bar left running would hide the terminal's cursor
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


class LogTerms(Callback):
    """Write the loss terms of every `every`-th step, and of the last, to the loggers.

    Lightning's own logging counts steps from 0 and writes after checkpoints, so that a resumed
    run would miss a line.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        wanted = step % self.every == 0 or step == pl_module.recipe.steps
        if trainer.is_global_zero and wanted:
            metrics = trainer.callback_metrics
            values = {name: float(v) for name, v in metrics.items() if name.startswith("train/")}
            for logger in trainer.loggers:
                logger.log_metrics(values, step)


class Validate(Callback):
    """Score the averaged weights on images with ground truth, by the protocol of the task.

    Args:
        pairs: (name, degraded, clean) image files.
        every: steps between validations; the last step is always validated.
        bar: where it shows.
    """

    def __init__(self, pairs: list[tuple[str, Path, Path]], every: int, bar: ProgressBar) -> None:
        self.pairs = pairs
        self.every = every
        self.bar = bar

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if trainer.is_global_zero and (step % self.every == 0 or step == pl_module.recipe.steps):
            with self.bar.phase("validating", len(self.pairs)) as advance:
                scores = self.score(pl_module, advance)
            values = {f"validation/{name}": value for name, value in scores.items()}
            trainer.callback_metrics.update(
                {name: torch.tensor(value) for name, value in values.items()}
            )
            for logger in trainer.loggers:
                logger.log_metrics(values, step)

    def score(self, module: TrainingModule, advance: Callable[[], None]) -> dict[str, float]:
        """Mean PSNR and SSIM of the averaged network; `advance` is called after each image."""
        network = module.averaged
        info = ModelInfo(network=network.name, options=network.options)
        restorer = Restorer(network, info, module.device)
        judge = protocol(TASK_PROTOCOLS[module.recipe.task])
        sums: dict[str, float] = {}
        for _, degraded, clean in self.pairs:
            restored = images.to_tensor(restorer.pixels(images.read(degraded).pixels))
            scores = judge.score(restored, images.to_tensor(images.read_rgb8(clean)))
            for name, value in scores.items():
                sums[name] = sums.get(name, 0.0) + float(value[0])
            advance()
        return {name: value / len(self.pairs) for name, value in sums.items()}


class StopOnRequest(Callback):
    """Ctrl-C or SIGTERM: finish the step, write a checkpoint, stop. A second Ctrl-C stops hard.

    Attributes:
        requested: whether the run was asked to stop.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._request)

    def _request(self, number: int, frame: Any) -> None:
        self.requested = True
        # the next one of the same kind does what it would have done without us
        signal.signal(number, self._previous[signal.Signals(number)])

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = trainer.strategy.reduce_boolean_decision(self.requested, all=False)
        if stop and trainer.global_step < pl_module.recipe.steps:
            self.requested = True
            trainer.save_checkpoint(checkpoint_path(self.folder, trainer.global_step))
            trainer.should_stop = True

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: Any) -> None:
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
