"""The two-scale objective: its teacher, its terms, and that it learns what it is meant to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda import adaptation, networks
from noiseda.adaptation.two_scale import mean_by_brightness, turn, turn_back, two_scale
from noiseda.errors import DataError, OptionError
from noiseda.random import BatchRandom


class Identity(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image


class CoarseOnly(nn.Module):
    """Restores nothing at full size and takes everything but the mean away at half size."""

    def __init__(self, full: int) -> None:
        super().__init__()
        self.full = full

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-1] == self.full:
            return image
        return image.mean(dim=(2, 3), keepdim=True).expand_as(image)


def draws(batch: int, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_samples(seed, range(batch), "test")


def batch(size: int = 16, count: int = 3) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(count, 3, size, size, generator=source)
        for name in ("clean", "synthetic", "real", "taught")
    }


def objective(**options: Any) -> adaptation.TwoScale:
    found = adaptation.build("two-scale", **options)
    assert isinstance(found, adaptation.TwoScale)
    return found


def test_turning_back_undoes_every_turn() -> None:
    images = batch(8, 8)["real"]
    turns = torch.arange(8)
    turned = turn(images, turns)
    assert torch.equal(turn_back(turned, turns), images)
    # the eight are all different
    same = [turn(images[:1], torch.tensor([number])) for number in range(8)]
    assert len({tuple(image.flatten().tolist()) for image in same}) == 8


def test_where_both_scales_agree_the_teacher_is_the_network() -> None:
    image = batch(16)["real"]
    assert torch.allclose(two_scale(Identity(), image, 0.03), image, atol=1e-6)


def test_weak_coarse_blotches_go_and_strong_detail_stays() -> None:
    column = torch.arange(32)
    blotch = 0.01 * torch.sin(column * 2 * torch.pi / 16)
    edge = 0.4 * (column >= 16) - 0.2
    for signal, kept in ((blotch, (0.0, 0.35)), (edge, (0.95, 1.05))):
        image = (0.5 + signal).expand(1, 3, 32, 32).contiguous()
        left = two_scale(CoarseOnly(32), image, 0.03) - 0.5
        share = float((left * signal).sum() / (signal.expand_as(left) ** 2).sum())
        assert kept[0] <= share <= kept[1]


def test_an_offset_of_dark_places_is_not_taken_for_noise() -> None:
    class Offset(nn.Module):
        """Sees dark places lighter at half size, as where noise is cut off at black."""

        def forward(self, image: Tensor) -> Tensor:
            return image + 0.02 * (1 - image) if image.shape[-1] == 32 else image

    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    # left is what interpolation between the levels of brightness misses
    assert (two_scale(Offset(), ramp, 0.03) - ramp).abs().max() < 0.002


def test_mean_by_brightness() -> None:
    brightness = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5, 2.0]).view(1, 1, 2, 3)
    values = torch.tensor([1.0, 3.0, 5.0, 5.0, 7.0, 8.0]).view(1, 1, 2, 3)
    # with three levels each place lies on one; a brightness above 1 counts as 1
    mean = mean_by_brightness(values, brightness, levels=3)
    assert mean.flatten().tolist() == [2, 2, 6, 6, 7, 6]
    # between two levels it is interpolated
    places = torch.tensor([0.0, 1.0, 0.5]).view(1, 1, 1, 3)
    mean = mean_by_brightness(torch.tensor([0.0, 1.0, 0.5]).view(1, 1, 1, 3), places, levels=2)
    assert torch.allclose(mean.flatten(), torch.tensor([1 / 6, 5 / 6, 0.5]))


def test_terms_are_logged_and_add_up() -> None:
    network = networks.build("unet", width=2, depth=2, upsampling="half-pixel")
    terms = objective(distill=0.5, renoise=2.0)(network, batch(), 0.5, draws(3))
    assert set(terms) == {"restoration", "distillation", "renoising", "loss"}
    expected = terms["restoration"] + 0.5 * terms["distillation"] + 2 * terms["renoising"]
    assert torch.allclose(terms["loss"], expected)


def test_the_target_is_the_mean_over_all_turns() -> None:
    network = networks.build("unet", width=2, depth=2, upsampling="half-pixel")
    photo = batch(16)["real"][:1, :, :, :12]
    target = objective().teach(network, photo)
    assert target.shape == photo.shape
    for number in range(8):
        turned = turn(photo, torch.tensor([number]))
        again = turn_back(objective().teach(network, turned), torch.tensor([number]))
        assert torch.allclose(again, target, atol=1e-6)
    alone = two_scale(network, photo, 0.03)
    assert (alone - target).abs().max() > 1e-4


def test_same_draws_same_terms() -> None:
    network = networks.build("unet", width=2, depth=2, upsampling="half-pixel")
    teaching = objective()
    first, again = (teaching(network, batch(), 0.5, draws(3))["loss"] for _ in range(2))
    other = teaching(network, batch(), 0.5, draws(3, 1))["loss"]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_laid_on_again_is_the_photos_own() -> None:
    real = batch(16)["real"].mul(0.1).add(0.45)
    taught = torch.full_like(real, 0.5)
    again = objective().noisy_again(real, taught, draws(3))
    noise, own = again - taught, real - taught
    assert torch.allclose(noise.flatten(1).sort()[0], own.flatten(1).sort()[0], atol=1 / 255)
    assert (noise - own).abs().mean() > 0.01, "it must not lie where it came from"


def test_a_weight_of_zero_leaves_the_term_out() -> None:
    terms = objective(distill=0, renoise=0)(Identity(), batch(), 0.5, draws(3))
    assert set(terms) == {"restoration", "loss"}


def test_it_says_what_is_missing() -> None:
    images = batch()
    del images["taught"]
    with pytest.raises(DataError, match="taught"):
        objective()(Identity(), images, 0.5, draws(3))
    with pytest.raises(OptionError, match="shrink is of the photos"):
        adaptation.build("two-scale", shrink=2.0)
    with pytest.raises(OptionError, match="goes with content: photos"):
        adaptation.build("two-scale", warm_up=0.4, warm_up_content="photos")
    with pytest.raises(OptionError, match="threshold"):
        adaptation.build("two-scale", threshold=0)
