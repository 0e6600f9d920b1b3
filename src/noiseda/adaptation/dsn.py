"""Domain separation networks (Bousmalis et al., NeurIPS 2016)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.adversarial import DomainClassifier, accuracy, domain_loss, reverse
from noiseda.adaptation.base import (
    OBJECTIVES,
    Batch,
    Objective,
    Randomness,
    charbonnier,
    scale_of,
)
from noiseda.adaptation.features import encode, feature_shape, restore
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@OBJECTIVES.register("dsn")
class DSN(Objective):
    """What is particular to a domain goes into a private encoder's features, so that the
    restoration network's need not carry it.

    The shared encoder is the restoration network up to its features h_c; each domain has a private
    encoder with features h_p of the same shape; one decoder makes the degraded image x̂ again from
    h_c + h_p. Over both domains:

    - L_recon = mean of d² − (mean of d)², d = x − x̂ (scale-invariant, eq. 4);
    - L_difference = ‖H_cᵀ·H_p‖² / N² (eq. 5): rows of H are the features at the N positions of
      the batch, centred, each of length 1; 0 if shared and private features are orthogonal;
    - L_similarity: the adversarial one (eq. 6), see `DANN`; the reversed gradient has the weight
      γ once the training is past `start`, and before that the classifier learns alone;
    - loss = Charbonnier(ŷ_s, y_s) + α·L_recon + β·L_difference + L_similarity.

    As published but for: convolutional encoders and decoder; positions as rows of H, where the
    paper has images; a classifier that learns at full weight.

    Args:
        reconstruction: α.
        difference: β.
        similarity: γ; like the weight of `DANN`, smaller than beside a cross-entropy.
        start: part of the training after which features are made similar (the paper's 10 000
            steps).
        width: channels of the private encoders, the decoder and the classifier.
        features: name of the layer with the shared features; None for the network's own choice.
        value_range: range in which the losses on images are computed: "unit" for [0, 1],
            "signed" for [-1, 1].
    """

    needs = ("clean", "synthetic", "real")

    def __init__(
        self,
        reconstruction: Weight = 0.01,
        difference: Weight = 0.075,
        similarity: Weight = 0.025,
        start: Annotated[float, Field(ge=0, le=1)] = 0.1,
        width: Annotated[int, Field(ge=1, le=1024)] = 32,
        features: str | None = None,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.weights = {"reconstruction": reconstruction, "difference": difference}
        self.similarity = similarity
        self.start = start
        self.width = width
        self.features = features
        self.scale = scale_of(value_range)
        self.parts: nn.ModuleDict | None = None

    def attach(self, restorer: nn.Module) -> None:
        shape = feature_shape(restorer, self.features)
        halvings = round(math.log2(shape.stride))
        parts = {
            "synthetic": encoder(shape.channels, self.width, halvings),
            "real": encoder(shape.channels, self.width, halvings),
            "decoder": decoder(shape.channels, self.width, halvings),
            "classifier": DomainClassifier(shape.channels, self.width),
        }
        self.parts = nn.ModuleDict(parts).to(shape.device)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        parts = self.attached(self.parts)
        images = torch.cat([batch["synthetic"], batch["real"]])
        sizes = [len(batch["synthetic"]), len(batch["real"])]
        restored, of_synthetic = restore(restorer, batch["synthetic"], self.features)
        shared = torch.cat([of_synthetic, encode(restorer, batch["real"], self.features)])
        private = torch.cat([parts[name](batch[name]) for name in ("synthetic", "real")])
        # a size that strided convolutions round differently than the network's pooling
        private = F.adaptive_avg_pool2d(private, (shared.shape[2], shared.shape[3]))
        again = parts["decoder"](shared + private)
        again = F.interpolate(again, images.shape[2:], mode="bilinear", align_corners=False)
        weight = self.similarity if progress >= self.start else 0.0
        verdicts = parts["classifier"](reverse(shared, weight)).split(sizes)
        pairs = zip(shared.split(sizes), private.split(sizes), strict=True)
        terms = {
            "restoration": charbonnier(self.scale * restored, self.scale * batch["clean"]),
            "reconstruction": scale_invariant(self.scale * (images - again)),
            "difference": sum((difference(c, p) for c, p in pairs), images.new_zeros(())),
            "similarity": domain_loss(*verdicts),
            "domain_accuracy": accuracy(*verdicts),
            "weight": images.new_tensor(weight),
        }
        loss = terms["restoration"] + terms["similarity"]
        terms["loss"] = loss + sum(self.weights[name] * terms[name] for name in self.weights)
        return terms


def encoder(channels: int, width: int, halvings: int) -> nn.Sequential:
    """A private encoder: B×3×H×W to B×channels×h×w, halved so many times."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
    for _ in range(halvings):
        layers += [nn.Conv2d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))


def decoder(channels: int, width: int, doublings: int) -> nn.Sequential:
    """The shared decoder: B×channels×h×w to an image, doubled so many times."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
    for _ in range(doublings):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)]
        layers += [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))


def scale_invariant(error: Tensor) -> Tensor:
    """Mean over images of the variance of the error: a constant offset costs nothing
    (Bousmalis et al. 2016, eq. 4, after Eigen et al. 2014)."""
    return error.flatten(1).var(dim=1, correction=0).mean()


def difference(shared: Tensor, private: Tensor) -> Tensor:
    """‖H_cᵀ·H_p‖² / N² of two B×C×h×w maps of features, from 0 to 1."""
    rows = []
    for features in (shared, private):
        at_positions = features.movedim(1, -1).flatten(0, 2)
        rows.append(F.normalize(at_positions - at_positions.mean(dim=0), dim=1))
    return (rows[0].T @ rows[1] / len(rows[0])).square().sum()
