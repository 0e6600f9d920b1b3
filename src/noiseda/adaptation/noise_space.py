"""Noise-space domain adaptation (Liao et al., ICLR 2025), with each of its parts an option."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from noiseda import diffusion
from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier
from noiseda.errors import OptionError
from noiseda.networks.spec import ValueRange


def _known_predictor(given: dict[str, Any]) -> dict[str, Any]:
    options = {"name": "guided", **given}
    diffusion.PREDICTORS.options(options.pop("name"), options)
    return given


def _known_schedule(given: dict[str, Any]) -> dict[str, Any]:
    _schedule(given)
    return given


def _schedule(options: dict[str, Any]) -> diffusion.Schedule:
    # its table is looked at, so it has values even where weights are built without memory
    with torch.device("cpu"):
        return diffusion.build_schedule(**options)


# checked where they are given, so that a recipe's mistakes show when it is read
PredictorOptions = Annotated[dict[str, Any], AfterValidator(_known_predictor)]
ScheduleOptions = Annotated[dict[str, Any], AfterValidator(_known_schedule)]


@OBJECTIVES.register("noise-space")
class NoiseSpace(Objective):
    """A noise predictor sees a noisy clean image and, as conditions, the restored synthetic and
    the restored real image; its error pulls both toward clean images.

    Per step, with restored images ŷ and degraded x of the synthetic (s) and real (r) domain:

    - noisy target ỹ = √γ·y + √(1−γ)·ε, with γ between two neighbouring noise levels;
    - channel shuffling: the two conditions change places with probability ½ per sample;
    - L_noise = mse(ε, D([ỹ, c₁, c₂], γ));
    - residual swapping: negatives x_s + (ŷ_r − x_r) and x_r + (ŷ_s − x_s) as conditions, and
      triplet = max(0, L_noise − mse(ε, D([ỹ, n₁, n₂], γ)) + margin);
    - L_dif = ½·(L_noise + triplet), or L_noise without residual swapping;
    - loss = Charbonnier(ŷ_s, y_s) + λ(p)·L_dif with λ(p) = λ·(2/(1 + e^(−5p)) − 1).

    Args:
        predictor: the noise predictor: its `name` and options, see `diffusion.build`.
        weight: λ.
        ramp: part of the training over which p goes from 0 to 1; 0 for full weight from the start.
        mode: "paired": ỹ is made from the clean counterpart of the synthetic image (the paper's
            "Ours"); "unpaired": from a clean image of another collection, without residual
            swapping ("Ours-Ex").
        steps: t is drawn from low ≤ t < high, with 1 ≤ low < high ≤ steps of the schedule.
        channel_shuffling: whether conditions change places.
        residual_swapping: whether there are negatives (paired mode only).
        conditions: which restored images the predictor sees: "both", or one domain alone, with
            a predictor of 6 instead of 9 input channels.
        margin: of the triplet term.
        schedule: the noise schedule's options, see `diffusion.Schedule`.
        value_range: range in which losses and ỹ are computed: "unit" for [0, 1], "signed" for
            [-1, 1].
    """

    def __init__(
        self,
        predictor: PredictorOptions | None = None,
        weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.2,
        ramp: Annotated[float, Field(ge=0, le=1)] = 1.0,
        mode: Literal["paired", "unpaired"] = "paired",
        steps: tuple[int, int] = (1, 1000),
        channel_shuffling: bool = True,
        residual_swapping: bool = True,
        conditions: Literal["both", "synthetic", "real"] = "both",
        margin: Annotated[float, Field(ge=0)] = 0.1,
        schedule: ScheduleOptions | None = None,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.weight = weight
        self.ramp = ramp
        self.mode = mode
        self.steps = steps
        self.channel_shuffling = channel_shuffling and conditions == "both"
        self.residual_swapping = residual_swapping and mode == "paired"
        self.margin = margin
        self.value_range = value_range
        self.domains = ("synthetic", "real") if conditions == "both" else (conditions,)
        self.schedule = _schedule(schedule or {})
        low, high = steps
        if not 1 <= low < high <= len(self.schedule.gammas):
            raise OptionError(
                f"objective 'noise-space': steps {low} to {high} must satisfy "
                f"1 ≤ low < high ≤ {len(self.schedule.gammas)}, the steps of the schedule"
            )
        options = {"name": "guided", "in_channels": 3 + 3 * len(self.domains), **(predictor or {})}
        if (
            options["in_channels"] != 3 + 3 * len(self.domains)
            or options.get("out_channels", 3) != 3
        ):
            raise OptionError(
                "objective 'noise-space': the predictor's in_channels and out_channels follow "
                "from the conditions; leave them out"
            )
        self.predictor = diffusion.build(options.pop("name"), **options)

    @property
    def required(self) -> tuple[str, ...]:
        extra = ("real", "unpaired") if self.mode == "unpaired" else ("real",)
        return (*self.needs, *extra)

    @property
    def patch_multiple(self) -> int:
        return int(self.predictor.size_multiple)  # pyright: ignore[reportArgumentType]

    def ramped_weight(self, progress: float) -> float:
        """λ(p), p = progress / ramp up to 1."""
        p = min(progress / self.ramp, 1.0) if self.ramp else math.inf
        return self.weight * (2 / (1 + math.exp(-5 * p)) - 1)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        clean, synthetic, real = batch["clean"], batch["synthetic"], batch["real"]
        # both domains in one pass: convolutions run faster on a larger batch
        restored = restorer(torch.cat([synthetic, real]))
        restored_synthetic, restored_real = restored.split([len(synthetic), len(real)])
        target = batch["unpaired"] if self.mode == "unpaired" else clean
        clean, synthetic, real, target, restored_synthetic, restored_real = (
            self.in_range(image)
            for image in (clean, synthetic, real, target, restored_synthetic, restored_real)
        )
        conditions = {"synthetic": restored_synthetic, "real": restored_real}
        negatives = swap_residuals({"synthetic": synthetic, "real": real}, conditions)
        restoration = charbonnier(restored_synthetic, clean)
        terms = {"restoration": restoration}
        terms |= self.noise_terms(target, conditions, negatives, random)
        weight = self.ramped_weight(progress)
        terms["weight"] = restoration.new_tensor(weight)
        terms["loss"] = restoration + weight * terms["diffusion"]
        return terms

    def noise_terms(
        self,
        target: Tensor,
        conditions: dict[str, Tensor],
        negatives: dict[str, Tensor],
        random: Randomness,
    ) -> dict[str, Tensor]:
        """L_dif and its parts.

        Args:
            target: B×3×H×W clean images that ỹ is made from.
            conditions: the restored images by domain, like `target`.
            negatives: the residual-swapped images by domain; used only with residual swapping.
            random: draws, in the order t, γ, ε, coin, negatives' coin.
        """
        step = random.randint(*self.steps)
        gamma = self.schedule.sample_gamma(step, random.rand(1)).to(target)
        noise = random.randn(*target.shape[1:]).to(target)
        seen = [self.slots(conditions, self._coins(random))]
        if self.residual_swapping:
            seen.append(self.slots(negatives, self._coins(random)))
        return self.noise_terms_of(target, gamma, noise, *seen)

    def noise_terms_of(
        self, target: Tensor, gamma: Tensor, noise: Tensor, *seen: list[Tensor]
    ) -> dict[str, Tensor]:
        """L_dif and its parts, of draws that are given.

        Args:
            target: see `noise_terms`.
            gamma: noise level γ, B×1 in (0, 1].
            noise: ε, like `target`.
            seen: images in the predictor's slots, from `slots`: the conditions and, with residual
                swapping, the negatives.
        """
        errors = [F.mse_loss(part, noise) for part in self.predict(target, gamma, noise, *seen)]
        if not self.residual_swapping:
            return {"noise": errors[0], "diffusion": errors[0]}
        triplet = (errors[0] - errors[1] + self.margin).clamp(min=0)
        return {
            "noise": errors[0],
            "noise_negative": errors[1],
            "triplet": triplet,
            "diffusion": (errors[0] + triplet) / 2,
        }

    def predict(
        self, target: Tensor, gamma: Tensor, noise: Tensor, *seen: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """The predicted noise ε̂ for each of `seen`; arguments as for `noise_terms_of`."""
        noisy = self.schedule.noisy(target, gamma, noise)
        inputs = [torch.cat([noisy, *images], dim=1) for images in seen]
        # all in one pass, as above
        predicted = self.predictor(torch.cat(inputs), gamma.repeat(len(inputs), 1))
        return predicted.split(len(noise))

    def slots(self, images: Mapping[str, Tensor], exchange: Tensor | None = None) -> list[Tensor]:
        """The images in the order in which the predictor sees them.

        Args:
            images: by domain, B×3×H×W.
            exchange: B booleans, whether a sample's two images change places; None for never.
        """
        slots = [images[domain] for domain in self.domains]
        if exchange is not None:
            first, second = slots
            exchange = exchange.view(-1, 1, 1, 1).to(first.device)
            slots = [torch.where(exchange, second, first), torch.where(exchange, first, second)]
        return slots

    def in_range(self, image: Tensor) -> Tensor:
        """An image in [0, 1] as losses and the predictor take it."""
        return 2 * image - 1 if self.value_range == "signed" else image

    def _coins(self, random: Randomness) -> Tensor | None:
        return random.rand() > 0.5 if self.channel_shuffling else None


def swap_residuals(
    degraded: Mapping[str, Tensor], restored: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The negatives x_s + (ŷ_r − x_r) and x_r + (ŷ_s − x_s): each domain's degraded image with
    the other's residual, images by domain."""
    return {
        one: degraded[one] + (restored[other] - degraded[other])
        for one, other in (("synthetic", "real"), ("real", "synthetic"))
    }
