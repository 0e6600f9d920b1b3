"""What adversarial objectives share: two players in one backward pass.

One optimiser minimises one `loss` over all parameters. Two players with opposite aims then need
gradients that do not meet: `reverse` turns the gradient that leaves the discriminating network
around (for features), `frozen` runs a network without letting its weights learn (for images: the
generator's term uses the frozen discriminator, the discriminator's term the detached image).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def reverse(features: Tensor, weight: float) -> Tensor:
    """The same values; the gradient is multiplied by −`weight` on its way back (Ganin & Lempitsky,
    ICML 2015)."""
    output = _Reverse.apply(features, weight)
    assert isinstance(output, Tensor)
    return output


def frozen(network: nn.Module, *inputs: Tensor) -> Tensor:
    """`network(*inputs)` with a gradient to the inputs but not to the network's parameters."""
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    return torch.func.functional_call(network, weights, inputs)


def looks(logits: Tensor, real: bool) -> Tensor:
    """Mean cross-entropy of the verdict "real" (or "not real"): −log σ(l), or −log(1 − σ(l)).

    For a discriminator, with the truth, it is what it minimises; for a generator, with
    `real=True`, it is the non-saturating loss of Goodfellow et al. (NeurIPS 2014).
    """
    return F.softplus(-logits if real else logits).mean()


def domain_loss(synthetic: Tensor, real: Tensor) -> Tensor:
    """Cross-entropy of a domain classifier: its logits for features (or images) that are
    synthetic and for those that are real; log 2 if it cannot tell them apart."""
    return (looks(synthetic, False) + looks(real, True)) / 2


def accuracy(synthetic: Tensor, real: Tensor) -> Tensor:
    """Share of right verdicts at logits of both domains, from 0 to 1."""
    return ((synthetic < 0).float().mean() + (real > 0).float().mean()).detach() / 2


class DomainClassifier(nn.Module):
    """One logit for each feature map, above 0 for "real".

    Two 3×3 convolutions, the mean over all positions and one linear layer: what tells domains of
    degraded images apart is in every patch, wherever it lies.

    It sees the features of a batch, of both domains, divided by their root mean square. Nothing
    bounds a restoration network's features, and without this the reversed gradient makes them grow
    until a wrong verdict is as loud as can be, and the network is gone; how strong those of one
    domain are beside the other's stays visible.

    Args:
        channels: of the features.
        width: of the hidden layers.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.verdict = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        features = features / features.square().mean().sqrt().clamp_min(1e-6)
        return self.verdict(self.local(features).mean(dim=(2, 3)))


class PatchDiscriminator(nn.Module):
    """A logit for each patch of an image, above 0 for "real" (PatchGAN; Isola et al., CVPR
    2017).

    Convolutions of stride 2 that end in patches of 18×18 pixels, one for every 4×4 pixels. No
    normalisation: the strength of noise and the brightness of an image must stay visible.

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Translator(nn.Module):
    """Turns an image of one domain into one that looks like the other's, by adding to it.

    A convolution, residual blocks (two 3×3 convolutions each) and a convolution, all at full
    resolution, as Bousmalis et al. 2017 use; here it gives the difference to its input, and a
    small one at first, so that training starts near the identity.

    Args:
        width: channels inside.
        blocks: residual blocks.
        noise_channels: channels of noise that it sees beside the image.
    """

    def __init__(self, width: int = 32, blocks: int = 4, noise_channels: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(3 + noise_channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        features = self.first(image if noise is None else torch.cat([image, noise], dim=1))
        for block in self.blocks:
            features = features + block(features)
        return image + self.last(F.relu(features))
