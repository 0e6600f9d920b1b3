"""Rain: where it falls, how much of it there is, and how it is laid over the picture."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from noiseda.degradations import build
from noiseda.degradations.streaks import Streaks, draw
from tests.degradations.conftest import examples, gray, picture, psnr, seeded, seeds

PLAIN: dict[str, Any] = {"layers": (1, 1), "blend": "add", "spread": 0}


def layer(clean: Tensor, seed: int, **options: Any) -> Tensor:
    """What the rain added, H×W."""
    return (build("rain", **{**PLAIN, **options})(clean, seeded(seed)) - clean)[0]


def one(**changed: float) -> Streaks:
    """One streak in the middle of a 64×64 picture."""
    values = {"row": 32.0, "column": 32.0, "length": 30.0, "width": 2.0, "angle": 0.0}
    values |= {"brightness": 0.5, **changed}
    return Streaks(**{name: torch.tensor([value]) for name, value in values.items()})


@examples
@given(
    st.floats(4, 40), st.floats(0.5, 6), st.floats(-50, 50), st.floats(0.05, 1), st.floats(20, 44)
)
def test_a_streak_has_its_place_length_and_direction(
    length: float, width: float, angle: float, brightness: float, column: float
) -> None:
    lean = math.radians(angle)
    streak = draw(
        one(length=length, width=width, angle=lean, brightness=brightness, column=column), 64, 64
    )
    assert 0 <= float(streak.min()) <= float(streak.max()) <= brightness + 1e-6
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    weight = streak / streak.sum()
    assert float((weight * rows).sum()) == pytest.approx(32, abs=0.6)
    assert float((weight * columns).sum()) == pytest.approx(column, abs=0.6)
    along = (rows - 32) * math.cos(lean) + (columns - column) * math.sin(lean)
    across = (rows - 32) * math.sin(lean) - (columns - column) * math.cos(lean)
    # of a line that fades as 1 - t⁴ the second moment is 5/84 of its length squared; the ends are
    # cut along a row, which makes a leaning streak longer by a part of its width
    spread = width / 2.355
    reach = math.hypot(math.sqrt(5 / 84) * length, spread * math.tan(lean))
    moments = [(weight * distance.square()).sum() for distance in (along, across)]
    assert float(moments[0].sqrt()) == pytest.approx(reach, rel=0.2, abs=0.8)
    assert float(moments[1].sqrt()) == pytest.approx(spread, rel=0.3, abs=0.5)
    # the light of a streak is its brightness times its area, also of a thin one
    area = 0.8 * length * width * math.sqrt(math.pi / 4 / math.log(2))
    assert float(streak.sum()) == pytest.approx(brightness * area, rel=0.25)


def test_streaks_add_up_and_those_outside_are_cut_off() -> None:
    first, second = one(), one(row=63, column=0, angle=0.4)
    both = Streaks(
        **{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in vars(first)}
    )
    total = draw(first, 64, 64) + draw(second, 64, 64)
    torch.testing.assert_close(draw(both, 64, 64), total)
    # the same streaks on a larger picture, seen through a window
    wide = draw(one(row=50, column=50), 100, 90)
    torch.testing.assert_close(draw(one(row=40, column=30), 70, 50), wide[10:80, 20:70])
    assert float(draw(one(row=-200), 64, 64).sum()) == 0


def test_without_streaks_the_picture_comes_back() -> None:
    clean = picture(20, 30)
    assert torch.equal(build("rain", density=(0, 0))(clean, seeded(0)), clean)


@pytest.mark.parametrize("density", [0.02, 0.1])
def test_density_is_the_part_that_streaks_cover(density: float) -> None:
    # without overlap, and faint enough that nothing is clipped
    options = {"density": (density, density), "intensity": (0.01, 0.01)}
    added = [float(layer(gray(0.5, 200), seed, **options).mean()) for seed in range(12)]
    # brightness 0.3 to 1 of the brightest; 0.8 along the streak, 1.06 for the Gaussian's tails
    expected = density * 0.01 * 0.65 * 0.8 * 1.064
    assert sum(added) / len(added) == pytest.approx(expected, rel=0.15)


def test_rain_is_as_dense_at_the_border_as_inside() -> None:
    options = {"density": (0.1, 0.1), "length": (20, 40), "angle": (25, 40)}
    options["intensity"] = (0.05, 0.05)
    mean = torch.stack([layer(gray(0.5, 96), seed, **options) for seed in range(150)]).mean(0)
    inside = float(mean[24:-24, 24:-24].mean())
    for edge in (mean[:6], mean[-6:], mean[:, :6], mean[:, -6:]):
        assert float(edge.mean()) == pytest.approx(inside, rel=0.2)


@pytest.mark.parametrize("angle", [-35, 0, 20])
def test_streaks_fall_in_the_given_direction(angle: int) -> None:
    rain = layer(gray(0.2), 3, angle=(angle, angle), length=(30, 30), width=(1.5, 1.5))
    rain = rain - rain.mean()
    # a picture moved along its streaks resembles itself most
    shift = {
        lean: float((rain[12:, 24:-24] * _moved(rain, round(12 * math.tan(lean)))).mean())
        for lean in (math.radians(a) for a in (-35, 0, 20))
    }
    assert max(shift, key=lambda lean: shift[lean]) == math.radians(angle)


def _moved(rain: Tensor, columns: int) -> Tensor:
    """Twelve rows down, that many columns to the right."""
    return rain[:-12, 24 - columns : rain.shape[1] - 24 - columns]


@examples
@given(seeds, st.floats(0, 1))
def test_blending(seed: int, value: float) -> None:
    clean = gray(value, 40)
    options = {"density": (0.1, 0.3)}
    rain = layer(gray(0.0, 40), seed, **options)
    added, screened = (
        build("rain", **{**PLAIN, **options, "blend": blend})(clean, seeded(seed))[1]
        for blend in ("add", "screen")
    )
    torch.testing.assert_close(added, (value + rain).clamp(0, 1))
    torch.testing.assert_close(screened, 1 - (1 - value) * (1 - rain))
    mixed = build("rain", **{**PLAIN, **options, "blend": "random"})(clean, seeded(seed))[1]
    assert torch.equal(mixed, added) or torch.equal(mixed, screened)


def test_haze_takes_contrast_away() -> None:
    clean = torch.cat([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)], -1)
    hazy = build("rain", density=(0, 0), haze=(0.4, 0.4))(clean, seeded(2))
    dark, bright = float(hazy[0, 0, 0]), float(hazy[0, 0, -1])
    assert bright - dark == pytest.approx(0.6, abs=1e-5)
    assert 0.28 - 1e-5 <= dark <= 0.4


def test_rain_is_grey_and_only_brightens() -> None:
    clean = 0.2 + 0.3 * picture(64, 80)
    added = build("rain", blend="add", intensity=(0.1, 0.1))(clean, seeded(4)) - clean
    assert float(added.min()) >= 0
    torch.testing.assert_close(added[0], added[2])


def test_photos_in_rain_are_as_degraded_as_the_rendered_sets(photos: list[Tensor]) -> None:
    """Rain100L has 26.6 ± 4.4 dB, and 11 % of its pixels are brighter by more than 0.05."""
    rain = build("rain")
    results = [(rain(x, seeded(10 * i + k)), x) for i, x in enumerate(photos) for k in range(5)]
    values = torch.tensor([psnr(image, clean) for image, clean in results])
    assert 24 < float(values.mean()) < 31
    assert 3 < float(values.std()) < 7
    covered = [float(((image - clean).mean(0) > 0.05).float().mean()) for image, clean in results]
    assert 0.05 < sum(covered) / len(covered) < 0.2
