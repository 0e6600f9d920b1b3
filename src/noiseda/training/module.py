"""The training step as a Lightning module: restoration network, objective, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from noiseda import runtime
from noiseda.adaptation import Objective
from noiseda.errors import NonFiniteLossError
from noiseda.networks import RestorationNetwork
from noiseda.random import BatchRandom, generator
from noiseda.training.recipe import Recipe


def ema_update(halflife: float, batch: int) -> Any:
    """An exponential moving average whose memory of a weight halves every `halflife` images.

    The decay starts low and grows with the number of updates n as (1 + n)/(10 + n), so that the
    first, untrained weights are soon forgotten.
    """
    most = 0.5 ** (batch / halflife)

    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor) -> None:
        n = float(updates)
        decay = min(most, (1 + n) / (10 + n))
        torch._foreach_lerp_(list(averages), list(weights), 1 - decay)

    return update


class TrainingModule(lightning.LightningModule):
    """One run's networks and their step.

    Attributes:
        restorer: the restoration network being trained.
        average: its exponential moving average, which is validated, saved and used.
        objective: what is minimised, with its own networks, which are thrown away afterwards.
    """

    def __init__(self, recipe: Recipe, restorer: RestorationNetwork, objective: Objective) -> None:
        super().__init__()
        self.recipe = recipe
        self.format = torch.contiguous_format
        if recipe.training.channels_last:
            restorer, objective = runtime.fast_layout(restorer), runtime.fast_layout(objective)
            self.format = torch.channels_last
        self.restorer = restorer
        self.objective = objective
        self._compiled = False
        self._went_back: int | None = None
        update = ema_update(recipe.training.ema_halflife, recipe.data.batch)
        self.average = AveragedModel(self.restorer, multi_avg_fn=update).requires_grad_(False)

    @property
    def averaged(self) -> RestorationNetwork:
        """The restoration network with averaged weights."""
        network = self.average.module
        assert isinstance(network, RestorationNetwork)
        return network

    def go_back(self, weights: dict[str, Any], step: int) -> None:
        """Take earlier weights at a step, and keep them when its checkpoint is loaded."""
        self.load_state_dict(weights)
        self._went_back = step

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint["global_step"] == self._went_back:
            checkpoint["state_dict"] = self.state_dict()
            # what it remembers of gradients is of other weights
            checkpoint["optimizer_states"] = [self.configure_optimizers().state_dict()]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            [*self.restorer.parameters(), *self.objective.parameters()],
            lr=self.recipe.training.learning_rate,
            # a fused one undoes the scale of 16-bit gradients itself, after they were clipped
            fused=self.recipe.training.precision != "16-mixed",
        )

    def on_train_start(self) -> None:
        if self.recipe.training.compile and not self._compiled:
            # in place: names of weights stay, and the averaged network is left as it is
            self.restorer.compile()
            predictor = getattr(self.objective, "predictor", None)
            if isinstance(predictor, nn.Module):
                predictor.compile()
            self._compiled = True

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # dropout draws from torch's global state; a seed of its own for every step and rank makes
        # the step repeatable without saving that state
        source = generator(self.recipe.seed, self.global_step, f"rank{self.global_rank}")
        torch.manual_seed(source.initial_seed())
        self._set_learning_rate()

    def _set_learning_rate(self) -> None:
        """That of the step to come: of its number alone, so a resumed run has nothing to recall."""
        training = self.recipe.training
        if training.schedule == "cosine":
            share = 0.5 + 0.5 * math.cos(math.pi * self.global_step / self.recipe.steps)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = share * training.learning_rate

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        # here and not after this method, as Lightning would: it leaves gradients of the first parts
        self.zero_grad()
        parts = self.recipe.training.accumulate
        share = len(batch["number"]) // parts
        sums: dict[str, Tensor] = {}
        loss = None
        for part in range(parts):
            if loss is not None:
                self._add_gradients(loss)
            chosen = slice(part * share, (part + 1) * share)
            terms = self._terms({role: value[chosen] for role, value in batch.items()})
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() / parts
            loss = terms["loss"] / parts
        assert loss is not None
        self._note(sums)
        # of the last part; its backward pass is what the devices exchange gradients after
        return loss

    def _terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The objective's terms of a part of a batch."""
        numbers = [int(number) for number in batch["number"]]
        images = {
            role: image.contiguous(memory_format=self.format)
            for role, image in batch.items()
            if role != "number"
        }
        terms = self.objective(
            self.restorer,
            images,
            progress=self.global_step / self.recipe.steps,
            random=BatchRandom.for_samples(self.recipe.seed, numbers, "objective"),
        )
        self._refuse_non_finite({name: value.detach() for name, value in terms.items()})
        return terms

    def _add_gradients(self, loss: Tensor) -> None:
        """The backward pass of a part that is not the last, on this device alone."""
        with torch.autocast(self.device.type, enabled=False):
            self.trainer.strategy.backward(loss, None)

    def optimizer_zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """Done by `training_step`."""

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip each network's gradient alone: a predictor's large one must not shrink the
        restoration network's."""
        limit = self.recipe.training.clip_norm
        norms = {
            "gradient_restorer": clip(self.restorer, limit),
            "gradient_objective": clip(self.objective, limit),
        }
        if self.recipe.training.precision != "16-mixed":
            # there a step whose gradients overflow is left out, and the scale lowered
            self._refuse_non_finite(norms)
        self._note(norms)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        # here and not in a batch-end hook: those run after checkpoints have been written
        self.average.update_parameters(self.restorer)

    def _note(self, values: dict[str, Tensor]) -> None:
        """Hand scalars to `LogTerms`, which writes them under the number of the finished step."""
        named = {f"train/{name}": value for name, value in values.items()}
        self.log_dict(named, logger=False, sync_dist=True)

    def _refuse_non_finite(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            if not torch.isfinite(value):
                raise NonFiniteLossError(
                    f"the term {name!r} became {float(value)} at step {self.global_step} "
                    f"({self.global_step * self.recipe.data.batch} images)"
                )


def clip(network: nn.Module, limit: float | None) -> Tensor:
    """Scale the network's gradient down to the norm `limit` in place; its norm before that."""
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    if not weights:
        return torch.zeros(())
    norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    if limit is not None:
        nn.utils.clip_grads_with_norm_(weights, limit, norm)
    return norm
