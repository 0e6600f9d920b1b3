"""Cycle-consistent adversarial domain adaptation (CyCADA; Hoffman et al., ICML 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from noiseda.adaptation.adversarial import (
    DomainClassifier,
    PatchDiscriminator,
    Translator,
    accuracy,
    domain_loss,
    frozen,
    looks,
    reverse,
)
from noiseda.adaptation.base import (
    OBJECTIVES,
    Batch,
    Objective,
    Randomness,
    charbonnier,
    scale_of,
)
from noiseda.adaptation.features import feature_shape, restore
from noiseda.networks.spec import ValueRange

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@OBJECTIVES.register("cycada")
class CyCADA(Objective):
    """Two generators translate degraded images between the domains and back; the restoration
    network learns from translated synthetic images, and its features must not show their origin.

    With generators G (synthetic to real) and K (back), discriminators D_r and D_s of patches,
    x_g = G(x_s), x_k = K(x_r), the restoration network f and its features h:

    - L_generator = −log σ(D_r(x_g)) − log σ(D_s(x_k)), only G and K learn from it; the
      discriminators minimise their cross-entropy on real and translated images (eq. 2);
    - L_cycle = |K(G(x_s)) − x_s| + |G(K(x_r)) − x_r| (eq. 3);
    - L_consistency = |f(x_g) − f(x_s)| + |f(x_k) − f(x_r)| (eq. 4: a translation must not change
      what the task says); only G and K learn from it, f's weights and targets are held fixed;
    - L_feature: domain classifier of h(x_g) and h(x_r) with reversed gradient, see `DANN` (eq. 5);
    - L_restoration = ½·[Charbonnier(f(x_s), y_s) + Charbonnier(f(x_g), y_s)]; only f learns;
    - loss = L_restoration + adversarial·L_generator + cycle·L_cycle + consistency·L_consistency
      + L_feature + both discriminators' terms.

    The paper trains in stages: a task network on the source, then the generators with it held
    fixed, then the final network on translated images. Here all happens in one step, and the one
    network f stands for both; it therefore learns from x_s as well.

    Args:
        adversarial: weight of the generators' term.
        cycle: weight of the cycle term.
        consistency: weight of the task consistency; 0 saves two passes of f.
        feature: weight of the reversed gradient of the features; 0 for pixels alone.
        width: channels of generators, discriminators and classifier.
        blocks: residual blocks of each generator.
        features: name of the layer with the features; None for the network's own choice.
        value_range: range in which the losses on images are computed: "unit" for [0, 1],
            "signed" for [-1, 1].
    """

    needs = ("clean", "synthetic", "real")

    def __init__(
        self,
        adversarial: Weight = 0.05,
        cycle: Weight = 0.5,
        consistency: Weight = 0.1,
        feature: Weight = 0.02,
        width: Annotated[int, Field(ge=1, le=1024)] = 32,
        blocks: Annotated[int, Field(ge=1, le=64)] = 4,
        features: str | None = None,
        value_range: ValueRange = "unit",
    ) -> None:
        super().__init__()
        self.weights = {"generator": adversarial, "cycle": cycle, "consistency": consistency}
        self.feature = feature
        self.width = width
        self.features = features
        self.scale = scale_of(value_range)
        self.to_real = Translator(width, blocks)
        self.to_synthetic = Translator(width, blocks)
        self.of_real = PatchDiscriminator(width)
        self.of_synthetic = PatchDiscriminator(width)
        self.classifier: nn.Module | None = None

    def attach(self, restorer: nn.Module) -> None:
        if self.feature:
            shape = feature_shape(restorer, self.features)
            self.classifier = DomainClassifier(shape.channels, self.width).to(shape.device)

    def terms(
        self, restorer: nn.Module, batch: Batch, progress: float, random: Randomness
    ) -> dict[str, Tensor]:
        clean, synthetic, real = batch["clean"], batch["synthetic"], batch["real"]
        like_real, like_synthetic = self.to_real(synthetic), self.to_synthetic(real)
        degraded = [synthetic, like_real.detach(), real]
        restored, terms = self._restored(restorer, degraded)
        for name, image in (("restoration", restored[0]), ("restoration_generated", restored[1])):
            terms[name] = charbonnier(self.scale * image, self.scale * clean)
        terms |= self._translation(synthetic, real, like_real, like_synthetic)
        terms["consistency"] = clean.new_zeros(())
        if self.weights["consistency"]:
            translated = frozen(restorer, torch.cat([like_real, like_synthetic]))
            fixed = torch.cat([restored[0], restored[2]]).detach()
            # both domains have as many images, so twice the mean is the sum of their means
            terms["consistency"] = 2 * self.scale * F.l1_loss(translated, fixed)
        loss = (terms["restoration"] + terms["restoration_generated"]) / 2
        loss = loss + sum(self.weights[name] * terms[name] for name in self.weights)
        loss = loss + terms["discriminator"] + terms.get("feature", 0)
        return {**terms, "loss": loss}

    def _restored(
        self, restorer: nn.Module, degraded: list[Tensor]
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """The three restored images in one pass, and the term of the last two's features."""
        sizes = [len(images) for images in degraded]
        if not self.feature:
            return restorer(torch.cat(degraded)).split(sizes), {}
        classifier = self.attached(self.classifier)
        restored, features = restore(restorer, torch.cat(degraded), self.features)
        compared = reverse(features[sizes[0] :], self.feature)
        verdicts = classifier(compared).split(sizes[1:])
        terms = {"feature": domain_loss(*verdicts), "feature_accuracy": accuracy(*verdicts)}
        return restored.split(sizes), terms

    def _translation(
        self, synthetic: Tensor, real: Tensor, like_real: Tensor, like_synthetic: Tensor
    ) -> dict[str, Tensor]:
        """Terms of generators and discriminators, without the restoration network."""
        back = self.to_synthetic(like_real), self.to_real(like_synthetic)
        cycle = F.l1_loss(back[0], synthetic) + F.l1_loss(back[1], real)
        generator = looks(frozen(self.of_real, like_real), True)
        generator = generator + looks(frozen(self.of_synthetic, like_synthetic), True)
        discriminator = domain_loss(self.of_real(like_real.detach()), self.of_real(real))
        discriminator = discriminator + domain_loss(
            self.of_synthetic(like_synthetic.detach()), self.of_synthetic(synthetic)
        )
        return {
            "cycle": self.scale * cycle,
            "generator": generator,
            "discriminator": discriminator,
        }
