"""The point operations of a camera's development, each with its inverse.

Every pair is exact up to rounding on [0, 1], so that developing an undeveloped image gives it back.
"""

from __future__ import annotations

import torch
from torch import Tensor

# channel values above this are bent toward saturation; where Brooks et al. start too
SHOULDER = 0.9


def srgb_to_linear(value: Tensor) -> Tensor:
    """Display value to linear light, both in [0, 1] (IEC 61966-2-1)."""
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Tensor) -> Tensor:
    """Linear light to display value, both in [0, 1] (IEC 61966-2-1)."""
    return torch.where(
        light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    )


def tone(value: Tensor, amount: Tensor) -> Tensor:
    """S-shaped contrast curve (1 − a)·v + a·(3v² − 2v³), a = `amount` in (0, 1].

    The smoothstep that Brooks et al. 2019 (Unprocessing Images, section 3.1) take for tone
    mapping, blended with the identity.
    """
    return value + amount * value * (1 - value) * (2 * value - 1)


def inverse_tone(value: Tensor, amount: Tensor) -> Tensor:
    """The inverse of `tone`.

    With v = ½ + 2s·sin θ and s² = (1 + a/2) / 6a, the cubic becomes
    y − ½ = 4as³·sin 3θ (triple-angle formula).
    """
    scale = ((1 + amount / 2) / (6 * amount)).sqrt()
    sine = ((value - 0.5) / (4 * amount * scale**3)).clamp(-1, 1)
    return 0.5 + 2 * scale * torch.sin(torch.asin(sine) / 3)


def unbalance(light: Tensor, gain: Tensor) -> Tensor:
    """White-balanced light to what the sensor measures, both in [0, 1]; `gain` ≥ 1.

    Dividing by the gain alone would leave no pixel of the sensor near saturation, although
    highlights of real photos are. As in Brooks et al. 2019 (section 3.3) the division fades out
    quadratically above 0.9, so that white saturates the sensor; but channel by channel instead of
    by luminance, which makes it invertible. With u = (x − 0.9) / 0.1 above 0.9, else 0:
    raw = x / g + (1 − 1/g)·u².
    """
    above = ((light - SHOULDER) / (1 - SHOULDER)).clamp(min=0)
    return light / gain + (1 - 1 / gain) * above**2


def balance(raw: Tensor, gain: Tensor) -> Tensor:
    """The inverse of `unbalance`: multiplies by the gain and rolls highlights off into white."""
    slope = (1 - SHOULDER) / gain
    excess = (raw - SHOULDER / gain).clamp(min=0)
    # the positive root of (1 − 1/g)·u² + slope·u = excess, in the form that allows g = 1
    root = (slope**2 + 4 * (1 - 1 / gain) * excess).sqrt()
    above = 2 * excess / (slope + root)
    return torch.minimum(raw * gain, SHOULDER + (1 - SHOULDER) * above)
