"""Adaptation by the network's own restorations at two scales; no noise predictor, no labels."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier, scale_of
from noiseda.errors import OptionError
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, le=100)]


def two_scale(restorer: nn.Module, image: Tensor, threshold: float) -> Tensor:
    """A restoration without the coarse noise that the network leaves at full size.

    What photos keep after restoration is mostly coarse: blotches whose grain is larger than that
    of the noise the network was trained on. The same network removes them where it sees the photo
    at half size. With e = down(f(x)) − f(down(x)), what the fine restoration keeps and the coarse
    one removed, and d what is left of e after its mean over all places of the same brightness is
    taken off, the weak part of d is taken out:

        t = f(x) − up(d · exp(−(d / threshold)²))

    so that detail, where d is large, stays as the fine restoration has it. Noise is zero on the
    mean at any brightness. What is not is the offset that clipping at black and white gives to the
    noise: the network corrects it where it sees the noise at full strength, but not at half size,
    where the noise is weaker and the offset is the same.

    Args:
        restorer: from degraded to restored image.
        image: B×3×H×W in [0, 1], H and W even.
        threshold: amplitude of d up to which it is taken for noise, in units of the [0, 1] range.

    Returns:
        B×3×H×W, clamped to [0, 1].
    """
    fine = restorer(image)
    half = F.avg_pool2d(fine, 2)
    kept = half - restorer(F.avg_pool2d(image, 2))
    kept = kept - mean_by_brightness(kept, half)
    weak = kept * torch.exp(-(kept / threshold).square())
    weak = F.interpolate(weak, scale_factor=2, mode="bilinear", align_corners=False)
    return (fine - weak).clamp(0, 1)


def mean_by_brightness(values: Tensor, brightness: Tensor, levels: int = 8) -> Tensor:
    """The mean of all values of an image's channel that have the same brightness, in each place.

    Args:
        values: B×C×H×W.
        brightness: B×C×H×W in [0, 1]; what is outside is clamped.
        levels: of brightness, evenly spaced, between which the mean is interpolated.

    Returns:
        B×C×H×W.
    """
    level = torch.arange(levels, device=values.device, dtype=values.dtype)
    place = brightness.clamp(0, 1).flatten(2)[..., None] * (levels - 1)
    # B×C×N×levels: how near to each level
    near = (1 - (place - level).abs()).clamp(min=0)
    total = (near * values.flatten(2)[..., None]).sum(2, keepdim=True)
    mean = total / near.sum(2, keepdim=True).clamp(min=1)
    return (near * mean).sum(-1).view_as(values)


def turn(images: Tensor, turns: Tensor) -> Tensor:
    """Each image of the batch, B×C×H×W, by its own of the eight flips and rotations.

    Args:
        images: square, unless all are turned alike.
        turns: B integers 0 to 7; quarter turns, and from 4 a flip after them.
    """
    turned = [
        torch.rot90(image, number % 4, (1, 2)).flip([2] if number >= 4 else [])
        for image, number in zip(images, turns.tolist(), strict=True)
    ]
    return torch.stack(turned)


def turn_back(images: Tensor, turns: Tensor) -> Tensor:
    """The inverse of `turn`."""
    # a turn followed by a flip is its own inverse
    return turn(images, torch.where(turns < 4, -turns % 4, turns))


@OBJECTIVES.register("two-scale")
class TwoScale(Objective):
    """The network's own restorations of real photos at two scales teach it, in rounds.

    At the beginning of each round the network, as it is then, restores windows of the photos: the
    target t is the mean of `two_scale` over the eight flips and rotations of a window. It is better
    than the network alone, and what the network learns from it makes the next round's better
    still. Per step, with the degraded synthetic image x_s, its clean y_s, and a real photo x_r:

    - distillation: Charbonnier(f(x_r), t);
    - re-noising: what the target took away, x_r − t, turned by a random flip or rotation so that it
      no longer shows the content it was taken from, is laid over t and rounded to 8 bits. The
      network sees the photo's own content with the photo's own noise and a known answer:
      Charbonnier(f(t + turned(x_r − t)), t);
    - loss = Charbonnier(f(x_s), y_s) + distill · distillation + renoise · re-noising.

    Args:
        threshold: of the targets, see `two_scale`.
        rounds: how often the targets are made, at equal intervals.
        windows: how many windows of 256×256 pixels of the photos are learned from.
        content: what the synthetic pairs show: the "source", clean images, or the "photos", whose
            targets are degraded as the source would be. With these the network learns what such
            photos show, and forgets of the source what they do not.
        shrink: by which factor at most the photos' targets are shrunk before they are degraded,
            drawn log-uniformly for each sample. Restorations lack the finest texture, and a network
            learns from them that there is none; shrunk ones have some.
        distill, renoise: weights of the two terms.
        warm_up: share of the training in which the network first learns the photos' noise, if that
            is strong (σ above 20 of 255), or if it is evenly strong and the network leaves more
            than half of it, from synthetic pairs with noise as it was measured in them. Where that
            makes it better, as judged without ground truth, it goes on from there, with such noise;
            else from where it was, with the recipe's degradation.
        warm_up_content: what the pairs of the warm-up show: the "source", whatever `content` says
            of those after it; or the "photos": the network's restorations, shrunk to a quarter to
            half, where what it has left of the noise is averaged. Nobody needs clean images then;
            there is a warm-up for noise alone that the network leaves, and no judgement after it.
        value_range: range in which the losses are computed, see `Vanilla`.

    Raises:
        OptionError: `shrink`, or the photos in the warm-up, without the photos' content.
    """

    needs = ("clean", "synthetic", "real", "taught")

    def __init__(
        self,
        threshold: Annotated[float, Field(gt=0, le=1)] = 0.03,
        rounds: Annotated[int, Field(ge=1, le=1000)] = 2,
        windows: Annotated[int, Field(ge=1, le=100_000)] = 64,
        content: Literal["source", "photos"] = "source",
        shrink: Annotated[float, Field(ge=1, le=4)] = 1.0,
        distill: Weight = 1.0,
        renoise: Weight = 1.0,
        warm_up: Annotated[float, Field(ge=0, le=0.9)] = 0.0,
        warm_up_content: Literal["source", "photos"] = "source",
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        if content == "source" and shrink > 1:
            raise OptionError(
                "objective 'two-scale': shrink is of the photos' content; leave it out, or give "
                "content: photos"
            )
        if content == "source" and warm_up_content == "photos":
            raise OptionError(
                "objective 'two-scale': warm_up_content: photos goes with content: photos; give "
                "both, or neither"
            )
        self.shrink = shrink
        self.warms_with_photos = warm_up_content == "photos"
        self.warm_up = warm_up
        self.threshold = threshold
        self.rounds = rounds
        self.windows = windows
        self.from_source = content == "source"
        self.distill = distill
        self.renoise = renoise
        self.scale = scale_of(value_range)

    @property
    def required(self) -> tuple[str, ...]:
        # there are no targets yet in the warm-up
        return ("clean", "synthetic", "real") if self.warm_up else self.needs

    @torch.no_grad()
    def teach(self, restorer: nn.Module, photo: Tensor) -> Tensor:
        total = torch.zeros_like(photo)
        for number in range(8):
            turns = torch.full((len(photo),), number)
            taught = two_scale(restorer, turn(photo, turns), self.threshold)
            total += turn_back(taught, turns)
        return total / 8

    @torch.no_grad()
    def noisy_again(self, real: Tensor, taught: Tensor, random: Randomness) -> Tensor:
        """The targets with their photos' own noise, turned."""
        noise = turn(real - taught, random.randint(1, 8))
        return (taught + noise).clamp(0, 1).mul(255).round().div(255)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        inputs = {"restoration": (batch["synthetic"], batch["clean"], 1.0)}
        if "taught" in batch:
            # not so in the warm-up
            real, taught = batch["real"], batch["taught"]
            inputs["distillation"] = (real, taught, self.distill)
            inputs["renoising"] = (self.noisy_again(real, taught, random), taught, self.renoise)
        wanted = {name: part for name, part in inputs.items() if part[2]}
        # one pass, as convolutions run faster on a larger batch
        restored = restorer(torch.cat([image for image, _, _ in wanted.values()]))
        split = restored.split([len(image) for image, _, _ in wanted.values()])
        terms = {
            name: charbonnier(self.scale * image, self.scale * target)
            for (name, (_, target, _)), image in zip(wanted.items(), split, strict=True)
        }
        loss = torch.stack([wanted[name][2] * term for name, term in terms.items()]).sum()
        return {**terms, "loss": loss}
