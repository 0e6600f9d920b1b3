"""Pixel-level domain adaptation (PixelDA; Bousmalis et al., CVPR 2017)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.adversarial import PatchDiscriminator, Translator, frozen, looks
from noiseda.adaptation.base import (
    OBJECTIVES,
    Batch,
    Objective,
    Randomness,
    charbonnier,
    scale_of,
)
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@OBJECTIVES.register("pixelda")
class PixelDA(Objective):
    """A generator makes the synthetic degraded image look like a real one; the restoration
    network learns from both.

    With generator x_g = G(x_s, z), z ~ N(0, I), and discriminator D of real (1) and generated (0)
    patches:

    - L_restoration = ½·[Charbonnier(f(x_s), y_s) + Charbonnier(f(x_g), y_s)], which the generator
      minimises too;
    - L_content = mean over images of the variance of x_g − x_s (the paper's pairwise squared
      error, eq. 7, without a mask): content must stay, brightness may change;
    - L_generator = −log σ(D(x_g)), only G learns from it;
    - L_discriminator = ½·[−log(1 − σ(D(x_g))) − log σ(D(x_r))], only D learns from it;
    - loss = L_restoration + content·L_content + adversarial·L_generator + L_discriminator.

    As published but for: noise of every pixel instead of a vector, because noise is what real
    degradations add; networks without batch normalisation; one step for all players.

    Args:
        adversarial: weight of the generator's term.
        content: weight of the content term.
        width: channels of generator and discriminator.
        blocks: residual blocks of the generator.
        noise_channels: channels of z; 0 for a generator without noise.
        value_range: range in which the losses on images are computed: "unit" for [0, 1],
            "signed" for [-1, 1].
    """

    needs = ("clean", "synthetic", "real")

    def __init__(
        self,
        adversarial: Weight = 0.05,
        content: Weight = 1.0,
        width: Annotated[int, Field(ge=1, le=1024)] = 32,
        blocks: Annotated[int, Field(ge=1, le=64)] = 4,
        noise_channels: Annotated[int, Field(ge=0, le=64)] = 3,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.adversarial = adversarial
        self.content = content
        self.noise_channels = noise_channels
        self.scale = scale_of(value_range)
        self.generator = Translator(width, blocks, noise_channels)
        self.discriminator = PatchDiscriminator(width)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        clean, synthetic, real = batch["clean"], batch["synthetic"], batch["real"]
        noise = random.randn(self.noise_channels, *synthetic.shape[2:]).to(synthetic)
        generated = self.generator(synthetic, noise)
        restored = restorer(torch.cat([synthetic, generated])).chunk(2)
        change = self.scale * (generated - synthetic)
        verdicts = self.discriminator(torch.cat([generated.detach(), real]))
        of_generated, of_real = verdicts.split([len(generated), len(real)])
        scaled = [self.scale * image for image in (*restored, clean)]
        terms = {
            "restoration": charbonnier(scaled[0], scaled[2]),
            "restoration_generated": charbonnier(scaled[1], scaled[2]),
            "content": change.flatten(1).var(dim=1, correction=0).mean(),
            "generator": looks(frozen(self.discriminator, generated), True),
            "discriminator": (looks(of_generated, False) + looks(of_real, True)) / 2,
        }
        terms["loss"] = (
            (terms["restoration"] + terms["restoration_generated"]) / 2
            + self.content * terms["content"]
            + self.adversarial * terms["generator"]
            + terms["discriminator"]
        )
        return terms
