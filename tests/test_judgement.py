"""The estimated risk against the true one, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noiseda import degradations, images, networks
from noiseda.judgement import Judging, Risk, Verdict, judge, kept_share, risk
from noiseda.random import generator
from tests.conftest import photo

# σ by brightness, and neighbours that correlate
MATCHED = {
    "brightness": [0.0, 1.0],
    "sigma": [[6.0, 6.0, 6.0], [18.0, 18.0, 18.0]],
    "correlation": [[[0.1, 0.4, 0.1], [0.4, 1.0, 0.4], [0.1, 0.4, 0.1]]],
    "clamp": False,
}


def blur(size: int) -> Callable[[Tensor], Tensor]:
    weight = torch.full((3, 1, size, size), 1 / size**2)
    return lambda image: F.conv2d(F.pad(image, [size // 2] * 4, mode="reflect"), weight, groups=3)


def soft(image: Tensor) -> Tensor:
    """Not linear: strong detail stays."""
    smooth = blur(5)(image)
    detail = image - smooth
    return smooth + detail * (1 - torch.exp(-(detail / 0.15).square()))


@pytest.mark.parametrize("adapted", [blur(3), blur(9), soft], ids=["blur 3", "blur 9", "soft"])
def test_the_risk_is_the_true_error(adapted: Callable[[Tensor], Tensor]) -> None:
    clean = images.to_tensor(photo(512, 512))
    noise = degradations.build("matched", **MATCHED)
    noisy = noise(clean, generator(1))
    start = blur(5)
    found = risk(start, adapted, noisy, noise, generator(2), draws=2)
    errors = [(f(noisy) - clean).square() for f in (start, adapted)]
    first, second = (float(error.mean()) for error in errors)
    assert found.change.mean() == pytest.approx(second - first, rel=0.25, abs=0.02 * first)
    assert len(found.change) == 64


@pytest.mark.parametrize("told", [10, 20, 40])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_strength_measured_wrong_is_told_by_the_networks(told: float, factor: float) -> None:
    """A shrinkage near the best one, of a gray picture in noise of σ 20."""
    power, noise_power = 0.01, (20 / 255) ** 2
    source = torch.Generator().manual_seed(0)
    clean = 0.5 + power**0.5 * torch.randn(1, 3, 256, 256, generator=source)
    noisy = degradations.build("gaussian", sigma=(20, 20))(clean, generator(1))
    share = power / (power + noise_power)
    start, adapted = (
        lambda image, share=share: 0.5 + share * (image - 0.5) for share in (share, factor * share)
    )
    errors = [float((f(noisy) - clean).square().mean()) for f in (start, adapted)]
    noise = degradations.build("gaussian", sigma=(told, told))
    found = risk(start, adapted, noisy, noise, generator(2))
    assert errors[1] > errors[0]
    assert found.change.mean() == pytest.approx(errors[1] - errors[0], abs=0.25 * errors[0])
    assert found.least.mean() == pytest.approx(errors[0], rel=0.25)
    assert found.error == pytest.approx(errors[0], rel=0.25)


def test_networks_that_take_nothing_away_tell_no_strength() -> None:
    clean = images.to_tensor(photo(128, 128))
    noise = degradations.build("matched", **MATCHED)
    found = risk(lambda x: x, lambda x: 0.999 * x, noise(clean, generator(1)), noise, generator(2))
    assert np.isfinite(found.change).all()
    none = degradations.build("matched", **MATCHED, scale=(0.0, 0.0))
    assert (risk(blur(3), blur(3), clean, none, generator(2)).change == 0).all()


def test_the_level_is_the_error_of_the_best_restoration() -> None:
    """Of a gray picture in noise, the best one is a shrinkage whose error is known."""
    power, noise_power = 0.005, (20 / 255) ** 2
    source = torch.Generator().manual_seed(0)
    clean = 0.5 + power**0.5 * torch.randn(1, 3, 256, 256, generator=source)
    noise = degradations.build("gaussian", sigma=(20, 20))
    share = power / (power + noise_power)

    def best(image: Tensor) -> Tensor:
        return 0.5 + share * (image - 0.5)

    found = risk(best, best, noise(clean, generator(1)), noise, generator(2))
    assert found.least.mean() == pytest.approx(share * noise_power, rel=0.03)
    assert np.all(found.change == 0)


def test_the_error_of_a_biased_start_is_not_taken_for_that_of_a_good_one() -> None:
    """Or else what a good network gains over it would be praised too much."""
    power, noise_power = 0.01, (20 / 255) ** 2
    source = torch.Generator().manual_seed(0)
    clean = 0.5 + power**0.5 * torch.randn(1, 3, 256, 256, generator=source)
    noise = degradations.build("gaussian", sigma=(20, 20))
    noisy = noise(clean, generator(1))
    share = power / (power + noise_power)
    # it takes away most of the picture, and with it most of the noise
    start, best = (lambda image, part=part: 0.5 + part * (image - 0.5) for part in (0.2, share))
    before, after = (float((f(noisy) - clean).square().mean()) for f in (start, best))
    found = risk(start, best, noisy, noise, generator(2))
    assert found.least.mean() < 0.25 * before
    assert found.error == pytest.approx(before, rel=0.1)
    assert judge([found]).change == pytest.approx(10 * np.log10(before / after), rel=0.1)


def test_what_is_kept_of_the_noise() -> None:
    """Of white noise a mean over n pixels keeps 1/n; of coarse noise it keeps more."""
    clean = photo(200, 300)
    options = {"brightness": [0.5], "sigma": [[10.0] * 3], "correlation": [[[1.0]]]}
    coarse = {**options, "correlation": MATCHED["correlation"]}
    network = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect", groups=3, bias=False)
    torch.nn.init.constant_(network.weight, 1 / 9)
    shares = [kept_share(network, [clean] * 3, noise) for noise in (options, coarse)]
    # (1 + 4·0.4 + 4·0.1) / 9 in the middle of the coarse one
    assert shares == [pytest.approx(1 / 9, abs=0.02), pytest.approx(3 / 9, abs=0.03)]
    assert kept_share(nn.Identity(), [clean], options) == pytest.approx(1, abs=1e-3)


def test_where_noise_is_cut_off_nothing_is_judged() -> None:
    """A network that is wrong in the dark alone, where the photo does not tell it."""
    clean = torch.full((1, 3, 128, 256), 0.5)
    clean[..., 128:] = 0.02
    noise = degradations.build("gaussian", sigma=(20, 20))
    noisy = noise(clean, generator(1)).clamp(0, 1)

    def brighter(image: Tensor) -> Tensor:
        return blur(5)(image) + 0.05 * (image < 0.2)

    found = risk(blur(5), brighter, noisy, noise, generator(2))
    # of eight cells the four bright ones, in which both do the same but for the border
    assert len(found.change) == 4
    assert np.abs(found.change).max() < 0.01 * 0.05**2
    dark = risk(blur(5), brighter, noisy[..., 128:], noise, generator(2))
    assert len(dark.change) == 0


@pytest.mark.parametrize("told", [True, False])
def test_noise_that_has_a_mean(told: bool) -> None:
    """A network that takes it back is the better one; the photo alone says the contrary."""
    clean = torch.full((1, 3, 256, 256), 0.5)
    noise = degradations.build("gaussian", sigma=(20, 20))
    mean = -6 / 255
    noisy = noise(clean, generator(1)) + mean

    def blind(image: Tensor) -> Tensor:
        return blur(9)(image)

    def knowing(image: Tensor) -> Tensor:
        return blur(9)(image) - mean

    before, after = (float((f(noisy) - clean).square().mean()) for f in (knowing, blind))
    found = risk(
        knowing, blind, noisy, noise, generator(2), mean=lambda x: torch.full_like(x, told * mean)
    )
    change = after - before if told else before - after
    assert found.change.mean() == pytest.approx(change, rel=0.1)
    assert change > 0 or not told


def risks(mean: float, spread: float, photos: int = 5, cells: int = 40) -> list[Risk]:
    random = np.random.default_rng(0)
    changes = (1e-4 * random.normal(mean, spread, cells) for _ in range(photos))
    return [of_error(1e-4, change) for change in changes]


def of_error(error: float, change: np.ndarray) -> Risk:
    start = np.full(len(change), error)
    return Risk(start, start, change)


def test_verdicts() -> None:
    better, worse = judge(risks(-0.2, 0.3)), judge(risks(0.2, 0.3))
    assert (better.kind, worse.kind) == ("better", "worse")
    assert better.change == pytest.approx(-10 * np.log10(0.8), abs=0.2)
    assert worse.change == pytest.approx(-10 * np.log10(1.2), abs=0.2)
    assert better.interval is not None
    assert better.interval[0] < -10 * np.log10(0.8) < better.interval[1]
    assert better.probability > 0.99 > 0.01 > worse.probability
    unsure = judge(risks(0.0, 1.0))
    assert unsure.kind == "unsure"
    # photos that disagree say less than photos that agree
    torn = [*risks(-0.5, 0.01, 2), *risks(0.3, 0.01, 2)]
    assert judge(torn).kind == "unsure"
    assert judge(risks(-0.2, 0.3)) == better
    # a photo counts the same whatever its noise
    loud, quiet = of_error(1e-2, np.full(9, 2e-3)), of_error(4e-3, np.full(9, -4e-3 / 6))
    assert judge([loud, quiet]).change == pytest.approx(0, abs=0.01)


def test_few_cells_are_little_evidence() -> None:
    """However well they agree."""
    assert judge(risks(-0.5, 0.01, 1, cells=1)).probability == 0.5
    assert judge(risks(-0.5, 0.01, 1, cells=3)).kind == "unsure"
    assert judge(risks(-0.5, 0.01, 2, cells=2)).kind == "better"
    assert judge(risks(0.5, 0.01, 2, cells=2)).kind == "worse"


def test_without_a_difference_or_a_photo_there_is_no_verdict() -> None:
    same = judge(risks(0.0, 0.0))
    assert (same.kind, same.probability) == ("unsure", 0.5)
    none = judge([])
    assert (none.kind, none.probability, none.photos) == ("unsure", 0.5, 0)
    assert "No photo is large enough to judge on" in none.sentence


def test_what_is_said() -> None:
    """Kept is what is probably better by more than the estimate is wrong by."""

    def of(kind: Literal["better", "worse", "unsure"], probability: float, change: float) -> str:
        verdict = Verdict(kind, probability, change, (change - 0.3, change + 0.3), 5, 100)
        return f"{verdict.sentence} {verdict.worth_keeping}"

    better = "The adapted model is better, by about 0.5 dB (99 % sure). True"
    assert of("better", 0.999, 0.52) == better
    worse = "The adapted model is worse, by about 0.5 dB (95 % sure). False"
    assert of("worse", 0.05, -0.52) == worse
    assert of("unsure", 0.75, 0.24) == (
        "The adapted model is probably better, by about 0.2 dB; it may be chance (75 % sure). True"
    )
    for probability, change in ((0.7, 0.06), (0.3, -0.2)):
        told = of("unsure", probability, change)
        assert told == "No difference that could be told from chance. False"


def test_a_photo_is_judged_with_its_own_noise() -> None:
    """A network that only blurs is worse on a clean photo and better on a noisy one."""
    clean = photo(300, 400)
    noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
    noisy = noisy.round().clip(0, 255).astype(np.uint8)
    identity = networks.build("unet", width=2, depth=1, upsampling="half-pixel")
    for weight in identity.parameters():
        torch.nn.init.zeros_(weight)
    judging = Judging(identity, identity)
    judging.adapted = blur(3)
    for picture, kind in ((clean, "worse"), (noisy, "better")):
        found = judging.risk(picture)
        assert found is not None
        assert judge([found]).kind == kind
    assert judging.risk(clean[:40]) is None
