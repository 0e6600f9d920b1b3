"""What all rival methods have in common: gradients, draws, value ranges, refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation
from noiseda.adaptation import OBJECTIVES, Objective
from noiseda.errors import DataError, OptionError
from tests.adaptation.toys import build, draws, random_batch, small_network

# small versions, with every part in use
RIVALS: dict[str, dict[str, Any]] = {
    "dann": {"width": 4},
    "dsn": {"width": 4},
    "pixelda": {"width": 4, "blocks": 1},
    "cycada": {"width": 4, "blocks": 1},
    "neighbor2neighbor": {"supervision": 1.0},
    "ap-bsn": {"stride": 2},
}
every_rival = pytest.mark.parametrize("name", RIVALS)


def attached(name: str, restorer: nn.Module, **options: Any) -> Objective:
    objective = build(name, **{**RIVALS[name], **options})
    torch.manual_seed(2)
    objective.attach(restorer)
    return objective


def test_no_objective_is_left_out() -> None:
    own = {"vanilla", "noise-space", "two-scale", "self-taught", "supervised"}
    assert {*RIVALS, *own} == set(OBJECTIVES.names)


@every_rival
def test_gradients_reach_all_parameters(name: str) -> None:
    restorer = small_network(name)
    objective = attached(name, restorer)
    terms = objective(restorer, random_batch(), 0.5, draws())
    assert all(value.ndim == 0 and torch.isfinite(value) for value in terms.values())
    terms["loss"].backward()
    for part in (restorer, objective):
        for key, parameter in part.named_parameters():
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.abs().max() > 0, key


@every_rival
def test_draws_decide_all(name: str) -> None:
    """Whatever torch's own generator does: that is what makes a resumed run exact."""
    results = []
    for seed, step in ((0, 0), (9, 0), (9, 1)):
        restorer = small_network(name)
        objective = attached(name, restorer)
        torch.manual_seed(seed)
        objective(restorer, random_batch(), 0.5, draws(step))["loss"].backward()
        results.append([p.grad for p in restorer.parameters() if p.grad is not None])
    first, same, other = results
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    drawn = name in ("pixelda", "neighbor2neighbor")
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True)) == drawn


@every_rival
def test_a_samples_draws_do_not_depend_on_its_batch(name: str) -> None:
    """The mean of the terms of two halves is the term of the whole, where it is a mean."""
    restorer = small_network(name)
    objective = attached(name, restorer)
    batch = random_batch(4)
    whole = objective(restorer, batch, 0.5, draws(0, 4))
    halves = [
        objective(restorer, {role: part.chunk(2)[i] for role, part in batch.items()}, 0.5, random)
        for i, random in enumerate((draws(0, 2), draws(1, 2)))
    ]
    # centred over the batch, and a count
    means = whole.keys() - {"difference", "loss"}
    assert means
    for term in means:
        mean = (halves[0][term] + halves[1][term]) / 2
        torch.testing.assert_close(whole[term], mean, rtol=1e-4, atol=1e-6, msg=term)


@every_rival
def test_the_batch_is_not_changed(name: str) -> None:
    restorer = small_network(name)
    batch = random_batch()
    before = copy.deepcopy(batch)
    attached(name, restorer)(restorer, batch, 0.5, draws())["loss"].backward()
    assert all(torch.equal(batch[role], before[role]) for role in batch)


# how many times larger the signed term is; the others do not depend on the range
FACTORS = {
    **dict.fromkeys(("restoration", "restoration_generated", "cycle", "consistency"), 2),
    "blind": 2,
    "content": 4,
    "reconstruction": 4,
    "neighbor": 4,
    "regulariser": 4,
}


@every_rival
def test_value_range(name: str) -> None:
    restorer, batch = small_network(name), random_batch()
    unit, signed = (
        attached(name, restorer, value_range=value_range)(restorer, batch, 0.5, draws())
        for value_range in ("unit", "signed")
    )
    assert unit.keys() == signed.keys()
    assert unit.keys() & FACTORS.keys()
    for term in unit.keys() - {"loss"}:
        expected = FACTORS.get(term, 1) * unit[term]
        # √(d² + ε²) is not quite proportional to d
        torch.testing.assert_close(signed[term], expected, rtol=1e-3, atol=1e-6, msg=term)


@every_rival
def test_missing_images(name: str) -> None:
    objective = build(name, **RIVALS[name])
    assert "real" in objective.required
    for role in objective.required:
        batch = random_batch()
        del batch[role]
        with pytest.raises(DataError, match=role):
            objective(small_network(name), batch)


@pytest.mark.parametrize("name", ["dann", "dsn", "cycada", "pixelda"])
def test_domains_of_different_size_and_odd_images(name: str) -> None:
    restorer = small_network(name)
    batch: dict[str, Tensor] = random_batch(2, 19)
    if name != "cycada":
        batch["real"] = batch["real"][:1]
    terms = attached(name, restorer)(restorer, batch, 0.5, draws())
    assert torch.isfinite(terms["loss"])


@pytest.mark.parametrize("name", ["dann", "dsn", "cycada"])
def test_parts_that_depend_on_the_network(name: str) -> None:
    restorer = small_network()
    with pytest.raises(OptionError, match=r"attach\(network\)"):
        build(name, **RIVALS[name])(restorer, random_batch())
    # any layer of any network can be named
    plain = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.Upsample(scale_factor=2), nn.Conv2d(5, 3, 1))
    with pytest.raises(OptionError, match="option features"):
        build(name, **RIVALS[name]).attach(plain)
    with pytest.raises(OptionError, match="no layer '7'; it has 0, 1, 2"):
        build(name, **RIVALS[name], features="7").attach(plain)
    objective = attached(name, plain, features="0")
    weights = [p for p in objective.parameters() if p.ndim == 4 and p.shape[1] == 5]
    assert weights, "a layer must take the five channels"
    assert torch.isfinite(objective(plain, random_batch(), 0.5, draws())["loss"])


@pytest.mark.parametrize("name", ["dann", "dsn", "cycada"])
def test_attaching_leaves_the_network_as_it_was(name: str) -> None:
    restorer = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
    before = copy.deepcopy(restorer.state_dict())
    attached(name, restorer, features="1")
    assert restorer.training
    assert not any(module._forward_hooks for module in restorer.modules())
    assert all(torch.equal(value, before[key]) for key, value in restorer.state_dict().items())


def test_ap_bsn_refuses_networks_that_see() -> None:
    objective = adaptation.build("ap-bsn")
    for action in (objective.attach, lambda network: objective(network, random_batch())):
        with pytest.raises(OptionError, match="network=blind-spot"):
            action(small_network())


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("dann", {"weight": -1}, "weight"),
        ("dann", {"wieght": 1}, "did you mean 'weight'"),
        ("dsn", {"start": 1.5}, "start"),
        ("pixelda", {"noise_channels": -1}, "noise_channels"),
        ("cycada", {"blocks": 0}, "blocks"),
        ("cycada", {"value_range": "sined"}, "'signed'"),
        ("neighbor2neighbor", {"downsample": 0}, "downsample"),
        ("neighbour2neighbour", {}, "did you mean 'neighbor2neighbor'"),
        ("ap-bsn", {"stride": 0}, "stride"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        adaptation.build(name, **options)
    assert len(str(caught.value).splitlines()) == 1
