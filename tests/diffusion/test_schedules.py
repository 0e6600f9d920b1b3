"""Noise schedules: the published tables, their equations, the levels that are drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noiseda import diffusion
from noiseda.diffusion import schedules
from noiseda.errors import OptionError

# ---------------------------------------------------------------------------------------- schedules


PARITY = Path(__file__).parents[1] / "parity"


def test_tables_equal_the_published_ones():
    checkpoint = torch.load(PARITY / "checkpoint_network.pth", weights_only=True)
    networks = ("RestorationNet.", "denoise_fn.")
    own = {key: value for key, value in checkpoint.items() if not key.startswith(networks)}
    tables = diffusion.Schedule("linear", steps=1000, start=1e-6, end=1e-2).buffers()
    assert tables.keys() == own.keys()
    for key, table in tables.items():
        error = (table - own[key]).abs().max().item()
        assert error <= 1e-6, f"{key}: largest error {error:.2e}"
        assert table.dtype == own[key].dtype


@settings(max_examples=20)
@given(st.sampled_from(schedules.NAMES), st.integers(2, 2000), st.floats(1e-6, 1e-2))
def test_gamma_falls_inside_zero_to_one(name: Any, steps: int, end: float):
    variances = diffusion.betas(name, steps, 1e-6, end)
    assert variances.dtype == torch.float64
    assert variances.shape == (steps,)
    assert ((variances > 0) & (variances < 1)).all()
    gammas = diffusion.Schedule(name, steps, 1e-6, end).gammas
    assert gammas.dtype == torch.float32
    assert (gammas.diff() <= 0).all()
    assert ((gammas > 0) & (gammas <= 1)).all()


def test_schedules_follow_their_equations():
    steps, start, end = 200, 1e-4, 2e-2
    made = {name: diffusion.betas(name, steps, start, end) for name in schedules.NAMES}
    for name in ("linear", "quadratic", "warmup10", "warmup50"):
        assert made[name][[0, -1]].tolist() == pytest.approx([start, end])
    middle = made["quadratic"][[99, 100]].sqrt().mean().item()
    assert middle == pytest.approx((math.sqrt(start) + math.sqrt(end)) / 2)
    assert [int((made[f"warmup{w}"] < end).sum()) for w in (10, 50)] == [19, 99]
    assert (made["constant"] == end).all()
    jsd, cosine = (torch.cumprod(1 - made[name], 0) for name in ("jsd", "cosine"))
    assert jsd[49].item() == pytest.approx(0.75)
    angles = [(share + 0.008) / 1.008 * math.pi / 2 for share in (0.25, 0)]
    assert cosine[49].item() == pytest.approx((math.cos(angles[0]) / math.cos(angles[1])) ** 2)


@settings(max_examples=20)
@given(st.sampled_from(schedules.NAMES), st.integers(2, 500), st.data())
def test_a_drawn_level_lies_between_its_neighbours(name: Any, steps: int, data: st.DataObject):
    schedule = diffusion.Schedule(name, steps)
    batch = data.draw(st.integers(1, 4))
    t = torch.tensor([data.draw(st.integers(1, steps - 1)) for _ in range(batch)])
    position = torch.tensor([[data.draw(st.floats(0, 1, width=32))] for _ in range(batch)])
    gamma = schedule.sample_gamma(t, position)
    assert gamma.shape == (batch, 1)
    rounding = 1e-7
    assert (gamma[:, 0] <= schedule.gammas[t - 1] + rounding).all()
    assert (gamma[:, 0] >= schedule.gammas[t] - rounding).all()
    assert torch.equal(
        schedule.sample_gamma(t, torch.zeros(batch, 1))[:, 0], schedule.gammas[t - 1]
    )


def test_a_noisy_image_keeps_unit_variance():
    noise = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    clean = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    gamma = torch.tensor([[1.0], [0.0], [0.36]])
    noisy = diffusion.Schedule.noisy(clean, gamma, noise)
    assert torch.equal(noisy[0], clean[0])
    assert torch.equal(noisy[1], noise[1])
    torch.testing.assert_close(noisy[2], 0.6 * clean[2] + 0.8 * noise[2])


def test_schedule_errors():
    with pytest.raises(OptionError, match="did you mean 'quadratic'"):
        diffusion.betas("quadatic", 10, 1e-6, 1e-2)
    with pytest.raises(OptionError, match=r"at least 2 \(got 1\)"):
        diffusion.Schedule(steps=1)
    with pytest.raises(OptionError, match="start <= end"):
        diffusion.Schedule(start=0.1, end=0.01)
    with pytest.raises(OptionError, match="lower steps or end"):
        diffusion.Schedule("constant", steps=20000)
    for wrong in (0, 10):
        with pytest.raises(ValueError, match="1 … 9"):
            diffusion.Schedule(steps=10).sample_gamma(torch.tensor([wrong]), torch.rand(1, 1))
