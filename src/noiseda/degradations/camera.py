"""A camera: noise made on the sensor and developed with the picture."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn import functional as F

from noiseda.degradations import bayer, curves, jpeg
from noiseda.degradations.base import (
    DEGRADATIONS,
    Degradation,
    log_uniform,
    ordered,
    ordered_log,
    uniform,
)
from noiseda.random import BatchRandom

Level = Annotated[float, Field(ge=0, le=1)]
LogRange = Annotated[tuple[Level, Level], AfterValidator(ordered_log)]
Gain = Annotated[float, Field(ge=1, le=8)]
GainRange = Annotated[tuple[Gain, Gain], AfterValidator(ordered)]
Quality = Annotated[int, Field(ge=1, le=100)]


@DEGRADATIONS.register("camera")
class Camera(Degradation):
    """Noise of a colour camera, correlated between pixels and dependent on the brightness.

    After Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019. The image is
    taken back to what the sensor measured (inverse tone curve, inverse sRGB curve, inverse white
    balance, see `curves`), sampled by an RGGB mosaic of drawn phase, degraded, and developed
    again:

        raw' = clip(raw + k·sqrt(shot·raw + read²)·n, 0, 1),  n ~ N(0, I),  k = strength

    which is the Gaussian approximation of photon noise plus read noise. White balance is applied
    to the mosaic, as the gradient-corrected filters expect; then come demosaicing, sRGB and tone
    curve, and JPEG. Colour matrices are left out: saturated colours would leave the sensor's
    gamut and not come back.

    Demosaicing is linear, so by default only the noise goes through it and the picture's own
    detail stays: a clean photo has been through some camera's demosaicing already. Without noise
    and JPEG the image comes back as it was. With `artifacts` the picture goes through it too.

    The default levels give photos a PSNR from about 20 to 38 dB. The default filter is the one
    whose noise has nearly the correlation between neighbours, and between colours, of the
    RENOIR photos (as measured in flat areas of noisy photos, without their ground truth).

    Args:
        shot: range of the shot noise level, the variance at saturation, log-uniform.
        read: range of the read noise level, a standard deviation as a share of saturation,
            log-uniform and independent of `shot`. For either range (0, 0) means none.
        strength: k, scales the standard deviation of the noise.
        red_gain, blue_gain: ranges of the white balance relative to green, uniform.
        tone: range of the contrast curve's amount, uniform; 0 none, 1 a full smoothstep.
        demosaic: "bilinear", or "malvar", whose noise is less correlated and more colourful.
        artifacts: add the blur, zipper edges and false colours of demosaicing the picture.
        jpeg: range of JPEG qualities, uniform over the integers from low to high; None for no
            JPEG.

    The result is in [0, 1]; input outside is clamped first.
    """

    def __init__(
        self,
        shot: LogRange = (2e-4, 2e-2),
        read: LogRange = (2e-3, 4e-2),
        strength: Annotated[float, Field(ge=0, le=10)] = 1.0,
        red_gain: GainRange = (1.9, 2.4),
        blue_gain: GainRange = (1.5, 1.9),
        tone: Annotated[tuple[Level, Level], AfterValidator(ordered)] = (0.0, 1.0),
        demosaic: bayer.Filter = "bilinear",
        artifacts: bool = False,
        jpeg: Annotated[tuple[Quality, Quality], AfterValidator(ordered)] | None = None,
    ) -> None:
        self.shot = shot
        self.read = read
        self.strength = strength
        self.red_gain = red_gain
        self.blue_gain = blue_gain
        self.tone = tone
        self.demosaic: bayer.Filter = demosaic
        self.artifacts = artifacts
        self.jpeg = jpeg

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        device = clean.device
        phase = random.randint(0, 4).to(device)
        draws = random.rand(5, 1, 1, 1).to(device).unbind(1)
        shot = log_uniform(draws[0], self.shot)
        read = log_uniform(draws[1], self.read)
        red, blue = uniform(draws[2], self.red_gain), uniform(draws[3], self.blue_gain)
        # the curve's inverse divides by the amount; this little is no curve at all
        amount = uniform(draws[4], self.tone).clamp(min=1e-4)

        light = curves.inverse_tone(clean.clamp(0, 1), amount).clamp_(0, 1)
        light = curves.srgb_to_linear(light)
        # scene beyond the border, so that demosaicing sees noisy neighbours there like elsewhere
        wide = F.pad(light, [bayer.MARGIN] * 4, mode="replicate")
        height, width = wide.shape[-2:]
        site = bayer.sites(phase, height, width)
        gains = torch.cat([red, torch.ones_like(red), blue], dim=1)
        gain = bayer.mosaic(gains.expand(-1, -1, height, width), site)
        true = bayer.mosaic(wide, site)
        raw = curves.unbalance(true, gain)
        deviation = self.strength * (shot * raw + read**2).sqrt()
        raw = (raw + deviation * random.randn(1, height, width).to(device)).clamp_(0, 1)
        measured = curves.balance(raw, gain)
        if self.artifacts:
            light = bayer.demosaic(measured, site, self.demosaic)
        else:
            light = light + bayer.demosaic(measured - true, site, self.demosaic)
        image = curves.tone(curves.linear_to_srgb(light.clamp(0, 1)), amount).clamp_(0, 1)
        if self.jpeg is None:
            return image
        # drawn last: the noise is the same with and without JPEG
        qualities = random.randint(self.jpeg[0], self.jpeg[1] + 1).tolist()
        pairs = zip(image, qualities, strict=True)
        return torch.stack([jpeg.compress(one, quality) for one, quality in pairs])
