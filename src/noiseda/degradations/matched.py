"""Noise of given statistics, such as those measured in a collection of photos."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn import functional as F

from noiseda.degradations.base import DEGRADATIONS, Degradation, log_uniform, ordered_log
from noiseda.errors import OptionError
from noiseda.random import BatchRandom

Level = Annotated[float, Field(ge=0, le=255)]
Unit = Annotated[float, Field(ge=0, le=1)]
Correlation = Annotated[float, Field(ge=-1, le=1)]
Strength = Annotated[float, Field(ge=0, le=100)]
Table = tuple[tuple[Correlation, ...], ...]
Row = tuple[Correlation, Correlation, Correlation]

# brightness steps of the table of σ
_STEPS = 1024


def _increasing(knots: tuple[float, ...]) -> tuple[float, ...]:
    """Pydantic validator: at least one brightness, each above the one before."""
    if not knots or any(low >= high for low, high in pairwise(knots)):
        raise ValueError(f"brightnesses {knots} do not increase; give one or more, sorted")
    return knots


def _centred(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Pydantic validator: one or three square tables of one odd size, 1 in the middle."""
    sizes = {len(table) for table in tables} | {len(row) for table in tables for row in table}
    if len(tables) not in (1, 3) or len(sizes) != 1 or min(sizes) % 2 == 0:
        raise ValueError("give one or three square tables, all of one odd number of rows")
    middle = min(sizes) // 2
    wrong = [t[middle][middle] for t in tables if abs(t[middle][middle] - 1) > 1e-6]
    if wrong:
        raise ValueError(f"the middle of a table is {wrong[0]:g}; a pixel's own correlation is 1")
    return tables


@DEGRADATIONS.register("matched")
class Matched(Degradation):
    """Gaussian noise of given strength, correlation between neighbours and between colours.

        x_c = y_c + k·σ_c(y_c)·n_c

    n has unit variance and correlation `color` between the colours of a pixel. Each colour is
    white noise through a filter with the given autocorrelation: the filter's spectrum is the
    square root of the noise's power spectrum (Wiener–Khinchin). A table that is no
    autocorrelation, its spectrum being negative somewhere, is replaced by one that is.
    `measurement.matched_options` makes these options from photos.

    Args:
        brightness: K increasing brightnesses in [0, 1].
        sigma: K×3, σ of R, G and B where that colour has this brightness, in units of 1/255;
            linear in between, constant beyond.
        correlation: 3×(2r+1)×(2r+1) correlation of a pixel with those up to r rows and columns
            away, for R, G and B; or one table for all.
        color: 3×3 correlation between the colours of a pixel.
        scale: range of the strength k, log-uniform, drawn once a sample.
        clamp: clamp the result to [0, 1].

    Raises:
        OptionError: `sigma` has not as many rows as `brightness`.
    """

    def __init__(
        self,
        brightness: Annotated[tuple[Unit, ...], AfterValidator(_increasing)] = (0.5,),
        sigma: tuple[tuple[Level, Level, Level], ...] = ((10.0, 10.0, 10.0),),
        correlation: Annotated[tuple[Table, ...], AfterValidator(_centred)] = (((1.0,),),),
        color: tuple[Row, Row, Row] = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        scale: Annotated[tuple[Strength, Strength], AfterValidator(ordered_log)] = (1.0, 1.0),
        clamp: bool = True,
    ) -> None:
        if len(brightness) != len(sigma):
            raise OptionError(
                f"degradation 'matched': {len(sigma)} rows of sigma for {len(brightness)} "
                "brightnesses; give one row of three for each"
            )
        self.scale = scale
        self.clamp = clamp
        steps = np.linspace(0, 1, _STEPS + 1)
        levels = np.array(sigma, np.float64).T / 255
        # 3×1025: σ by brightness
        self.levels = _float32([np.interp(steps, brightness, level) for level in levels])
        tables = correlation if len(correlation) == 3 else correlation * 3
        filters = np.stack([_filter(np.array(table, np.float64)) for table in tables])
        # 3×1×(4r+1)×(4r+1)
        self.filters = _float32(filters)[:, None]
        self.mixing = _float32(_mixing(np.array(color, np.float64), filters))

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        device = clean.device
        strength = log_uniform(random.rand(1, 1, 1), self.scale).to(device)
        height, width = (size + self.filters.shape[-1] - 1 for size in clean.shape[-2:])
        white = random.randn(3, height, width).to(device)
        mixed = torch.einsum("cd,bdhw->bchw", self.mixing.to(device), white)
        noise = F.conv2d(mixed, self.filters.to(device), groups=3)
        step = (clean.clamp(0, 1) * _STEPS).round_().long()
        channel = torch.arange(3, device=device)[:, None, None]
        noisy = clean + strength * self.levels.to(device)[channel, step] * noise
        return noisy.clamp_(0, 1) if self.clamp else noisy


def _filter(correlation: np.ndarray) -> np.ndarray:
    """(4r+1)×(4r+1) filter of unit energy that gives white noise this correlation."""
    reach = len(correlation) // 2
    size = 8 * reach + 8
    # an autocorrelation is the same in opposite directions
    even = (correlation + correlation[::-1, ::-1]) / 2
    padded = np.zeros((size, size))
    padded[: 2 * reach + 1, : 2 * reach + 1] = even
    power = np.fft.fft2(np.roll(padded, (-reach, -reach), (0, 1))).real
    response = np.fft.ifft2(np.sqrt(np.maximum(power, 0))).real
    # the root of a spectrum has a longer tail than the spectrum
    tail = 2 * reach
    taps = np.roll(response, (tail, tail), (0, 1))[: 2 * tail + 1, : 2 * tail + 1]
    return taps / np.linalg.norm(taps)


def _mixing(color: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """3×3 matrix by which white colours are mixed, so that they have the correlation after the
    filters."""
    # two colours lose correlation where their filters differ
    overlap = np.einsum("cij,dij->cd", filters, filters)
    wanted = (color + color.T) / 2 / np.maximum(overlap, 1e-3)
    value, vector = np.linalg.eigh(wanted)
    root = (vector * np.sqrt(np.maximum(value, 0))) @ vector.T
    # what the clipped eigenvalues added to the variances
    return root / np.linalg.norm(root, axis=1, keepdims=True)


def _float32(values: np.ndarray | list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
