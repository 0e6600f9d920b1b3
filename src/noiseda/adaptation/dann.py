"""Domain-adversarial training of features (Ganin & Lempitsky, ICML 2015)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.adversarial import DomainClassifier, accuracy, domain_loss, reverse
from noiseda.adaptation.base import OBJECTIVES, Batch, Objective, Randomness, charbonnier, scale_of
from noiseda.adaptation.features import encode, feature_shape, restore
from noiseda.networks.spec import ValueRange


@OBJECTIVES.register("dann")
class DANN(Objective):
    """A classifier learns to tell from the restoration network's features whether an image is
    synthetic or real; the reversed gradient teaches the features not to show it.

    With features h, classifier C, gradient reversal R_μ (identity forwards, −μ·gradient back):

    - L_domain = ½·[−log(1 − σ(C(R_μ(h_s)))) − log σ(C(R_μ(h_r)))];
    - μ(p) = weight·(2/(1 + e^(−10p)) − 1) with the progress p;
    - loss = Charbonnier(ŷ_s, y_s) + L_domain. The classifier minimises L_domain at full weight,
      the features maximise μ·L_domain.

    As published but for the classifier: convolutions and a mean over positions instead of fully
    connected layers, so that any patch size fits.

    Args:
        weight: greatest weight of the reversed gradient; 1 as published, where the other loss is
            a cross-entropy and thus ten times a restoration loss.
        width: channels of the classifier.
        features: name of the layer whose output is compared; None for the network's own choice.
        value_range: range in which the restoration loss is computed: "unit" for [0, 1], "signed"
            for [-1, 1].
    """

    needs = ("clean", "synthetic", "real")

    def __init__(
        self,
        weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.1,
        width: Annotated[int, Field(ge=1, le=1024)] = 64,
        features: str | None = None,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.weight = weight
        self.width = width
        self.features = features
        self.scale = scale_of(value_range)
        self.classifier: nn.Module | None = None

    def attach(self, restorer: nn.Module) -> None:
        shape = feature_shape(restorer, self.features)
        self.classifier = DomainClassifier(shape.channels, self.width).to(shape.device)

    def ramped_weight(self, progress: float) -> float:
        """μ(p)."""
        return self.weight * (2 / (1 + math.exp(-10 * progress)) - 1)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        classifier = self.attached(self.classifier)
        synthetic, real = batch["synthetic"], batch["real"]
        restored, of_synthetic = restore(restorer, synthetic, self.features)
        features = torch.cat([of_synthetic, encode(restorer, real, self.features)])
        weight = self.ramped_weight(progress)
        verdicts = classifier(reverse(features, weight)).split([len(synthetic), len(real)])
        domain = domain_loss(*verdicts)
        restoration = charbonnier(self.scale * restored, self.scale * batch["clean"])
        return {
            "restoration": restoration,
            "domain": domain,
            "domain_accuracy": accuracy(*verdicts),
            "weight": restoration.new_tensor(weight),
            "loss": restoration + domain,
        }
