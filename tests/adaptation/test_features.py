"""Objectives on features: which way gradients push, and that domains become alike."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda.adaptation import DANN, DSN
from noiseda.adaptation.adversarial import DomainClassifier, accuracy, domain_loss, frozen, reverse
from noiseda.adaptation.dsn import difference, scale_invariant
from noiseda.adaptation.features import encode, restore
from noiseda.random import generator
from tests.adaptation.toys import build, draws, random_batch, small_network, train

ADVERSARIAL = [("dann", "domain"), ("dsn", "similarity"), ("cycada", "feature")]


def test_reverse() -> None:
    features = torch.tensor([2.0, -1.0], requires_grad=True)
    out = reverse(features, 0.5)
    assert torch.equal(out, features)
    (out * torch.tensor([1.0, 3.0])).sum().backward()
    assert features.grad is not None
    assert features.grad.tolist() == [-0.5, -1.5]


def test_frozen() -> None:
    network = nn.Conv2d(3, 1, 1)
    image = torch.rand(1, 3, 2, 2, requires_grad=True)
    out = frozen(network, image)
    assert torch.equal(out, network(image))
    out.sum().backward()
    assert network.weight.grad is None
    assert image.grad is not None
    assert image.grad.abs().min() > 0


def test_domain_loss_and_accuracy_by_hand() -> None:
    synthetic, real = torch.tensor([-2.0, 1.0]), torch.tensor([3.0])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2 + math.log1p(math.exp(-3))
    assert domain_loss(synthetic, real).item() == pytest.approx(expected / 2)
    assert accuracy(synthetic, real).item() == 0.75
    assert domain_loss(torch.zeros(4), torch.zeros(4)).item() == pytest.approx(math.log(2))


def test_features_without_the_rest_of_the_network() -> None:
    network, images = small_network(), random_batch()["real"]
    last: list[Any] = []
    network.get_submodule("body.last").register_forward_hook(
        lambda _, inputs, output: last.append(output)
    )
    restored, features = restore(network, images)
    assert len(last) == 1
    assert torch.equal(encode(network, images), features)
    assert len(last) == 1, "what comes after the features is not computed"
    # nothing is left behind
    assert torch.equal(network(images), restored)


@pytest.mark.parametrize(("name", "term"), ADVERSARIAL)
def test_the_classifier_learns_and_the_features_unlearn(name: str, term: str) -> None:
    """A small step down the loss's gradient lowers the domain loss if the classifier takes it,
    and raises it if the restoration network does."""
    changes = {}
    for mover in ("classifier", "features"):
        restorer = small_network()
        objective = build(name, width=8)
        objective.attach(restorer)
        # so that a step so small that it must go the right way is not lost in rounding
        restorer, objective = restorer.double(), objective.double()
        batch = {role: images.double() for role, images in random_batch().items()}
        batch["real"] = 0.5 * batch["real"]
        before = objective(restorer, batch, 0.5, draws())[term]
        before.backward()
        moved = {"features": restorer, "classifier": objective}[mover].parameters()
        moved = [parameter for parameter in moved if parameter.grad is not None]
        length = nn.utils.get_total_norm([p.grad for p in moved if p.grad is not None])
        with torch.no_grad():
            for parameter in moved:
                parameter -= 1e-4 / length * parameter.grad
            after = objective(restorer, batch, 0.5, draws())[term]
            changes[mover] = float(after - before)
    assert changes["classifier"] < -1e-10
    assert changes["features"] > 1e-10


def test_the_published_ramp() -> None:
    objective = build("dann", weight=2.0)
    assert isinstance(objective, DANN)
    assert objective.ramped_weight(0) == 0
    assert objective.ramped_weight(0.3) == pytest.approx(2 * (2 / (1 + math.exp(-3)) - 1))
    restorer = small_network()
    objective.attach(restorer)
    for progress in (0.0, 0.3):
        terms = objective(restorer, random_batch(), progress, draws())
        assert terms["weight"].item() == pytest.approx(objective.ramped_weight(progress))
        restorer.zero_grad()
        terms["domain"].backward()
        gradient = next(restorer.parameters()).grad
        assert gradient is not None
        # at the start the classifier learns alone
        assert (gradient.abs().max() > 0) == (progress > 0)


def test_dsn_begins_late() -> None:
    objective = build("dsn", width=4, similarity=0.3, start=0.4)
    restorer = small_network()
    objective.attach(restorer)
    weights = [
        objective(restorer, random_batch(), p, draws())["weight"].item() for p in (0.39, 0.4, 1)
    ]
    assert weights == pytest.approx([0, 0.3, 0.3])


def test_dsn_terms_by_hand() -> None:
    error = torch.rand(2, 3, 4, 4)
    assert scale_invariant(torch.full((2, 3, 4, 4), 0.7)).item() == pytest.approx(0)
    expected = error.square().mean(dim=(1, 2, 3)) - error.mean(dim=(1, 2, 3)).square()
    torch.testing.assert_close(scale_invariant(error), expected.mean())
    # eight positions whose features lie along one axis each, shared along another than private
    signs = torch.tensor([1.0, -1.0] * 4).view(2, 1, 2, 2)
    nothing = torch.zeros_like(signs)
    first, second = torch.cat([signs, nothing], 1), torch.cat([nothing, signs], 1)
    assert difference(first, 3 * first).item() == pytest.approx(1)
    assert difference(first, second).item() == pytest.approx(1), "the same signs at each position"
    other = second * torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    assert difference(first, other).item() == pytest.approx(0)


def test_dsn_loss_is_the_weighted_sum() -> None:
    objective = build("dsn", width=4, reconstruction=0.3, difference=0.7)
    assert isinstance(objective, DSN)
    restorer = small_network()
    objective.attach(restorer)
    terms = objective(restorer, random_batch(), 0.5, draws())
    parts = terms["restoration"] + terms["similarity"]
    parts = parts + 0.3 * terms["reconstruction"] + 0.7 * terms["difference"]
    torch.testing.assert_close(terms["loss"], parts)


def test_louder_features_are_no_louder_verdict() -> None:
    """Else the features would grow without end, as their network is rewarded for wrong verdicts."""
    classifier, features = DomainClassifier(4, 8), torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(classifier(1e3 * features), classifier(features))
    assert torch.isfinite(classifier(0 * features)).all()


# --- the toy ----------------------------------------------------------------------------------


class OneFeature(nn.Module):
    """A network with a single feature, which at first is the mean of red and blue, and which it
    writes into green, as the synthetic pairs below teach it."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_layer = nn.Conv2d(3, 1, 1)
        self.last = nn.Conv2d(1, 3, 1)
        with torch.no_grad():
            self.feature_layer.weight.copy_(torch.tensor([0.5, 0, 0.5]).view(1, 3, 1, 1))
            # the regression to the mean of a variance of 1/12 with noise of 0.3²/2
            self.last.weight.copy_(torch.tensor([0.0, 0.65, 0]).view(3, 1, 1, 1))
            assert self.last.bias is not None
            self.last.bias.copy_(torch.tensor([0.0, 0.35 / 2, 0]))

    def forward(self, image: Tensor) -> Tensor:
        return image + self.last(self.feature_layer(image))


def shifted(count: int, seed: int, shift: float) -> tuple[Tensor, Tensor]:
    """Degraded and clean images. Red and blue both show a hidden brightness, which is missing in
    green; in the real domain blue is shifted by a constant, so only red can be trusted."""
    source = generator(seed, 0, f"shift {shift}")
    hidden = torch.rand(count, 1, 1, 1, generator=source).expand(-1, -1, 4, 4)
    noise = 0.3 * torch.randn(count, 2, 4, 4, generator=source)
    red, blue = hidden + noise[:, :1], hidden + noise[:, 1:] - shift
    return torch.cat([red, 0 * hidden, blue], 1), torch.cat([red, hidden, blue], 1)


def domains(step: int) -> dict[str, Tensor]:
    synthetic, clean = shifted(16, step, 0.0)
    return {"clean": clean, "synthetic": synthetic, "real": shifted(16, step, 1.0)[0]}


@torch.no_grad()
def separable(restorer: nn.Module) -> float:
    """How many of unseen images a threshold on their mean feature assigns to the right domain."""
    both = torch.cat([shifted(512, 10**6, shift)[0] for shift in (0.0, 1.0)])
    features = restore(restorer, both)[1].mean(dim=(1, 2, 3))
    synthetic, real = (features - features.mean()).chunk(2)
    share = float(accuracy(synthetic, real))
    return max(share, 1 - share)


@torch.no_grad()
def green_error(restorer: nn.Module) -> float:
    degraded, clean = shifted(512, 10**6, 1.0)
    return float((restorer(degraded) - clean)[:, 1].square().mean())


def least_error() -> float:
    """Of any linear estimate that does not use blue."""
    degraded, clean = shifted(512, 10**6, 1.0)
    red, green = degraded[:, 0].flatten(), clean[:, 1].flatten()
    return float(green.var() * (1 - torch.corrcoef(torch.stack([red, green]))[0, 1] ** 2))


@functools.cache
def vanilla() -> nn.Module:
    restorer = OneFeature()
    train(build("vanilla"), restorer, domains, 300, 5e-3)
    return restorer


@pytest.mark.parametrize(("name", "weight"), [("dann", "weight"), ("dsn", "similarity")])
def test_features_stop_showing_the_domain(name: str, weight: str) -> None:
    restorer = OneFeature()
    history = train(build(name, width=16, **{weight: 0.1}), restorer, domains, 300, 5e-3)
    assert separable(vanilla()) > 0.7
    assert separable(restorer) < 0.62
    # the objective's own classifier is lost as well
    assert sum(terms["domain_accuracy"] for terms in history[-100:]) / 100 < 0.65
    # what the domain distorts is restored as if the network knew which colour to trust
    assert green_error(vanilla()) > 2.5 * least_error()
    assert green_error(restorer) < 1.15 * least_error()


@pytest.mark.parametrize(("name", "weight"), [("dann", "weight"), ("dsn", "similarity")])
def test_without_the_reversed_gradient_features_keep_the_domain(name: str, weight: str) -> None:
    restorer = OneFeature()
    history = train(build(name, width=16, **{weight: 0.0}), restorer, domains, 150, 5e-3)
    assert separable(restorer) > 0.7
    assert sum(terms["domain_accuracy"] for terms in history[-50:]) / 50 > 0.65
