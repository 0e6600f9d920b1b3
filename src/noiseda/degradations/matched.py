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
_WHITE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def _increasing(knots: tuple[float, ...]) -> tuple[float, ...]:
    """Pydantic validator: at least one brightness, each above the one before."""
    if not knots or any(low >= high for low, high in pairwise(knots)):
        raise ValueError(f"brightnesses {knots} do not increase; give one or more, sorted")
    return knots


def _centred(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Pydantic validator: one or nine square tables of one odd size, 1 in the middle of what is of
    a colour and itself."""
    sizes = {len(table) for table in tables} | {len(row) for table in tables for row in table}
    if len(tables) not in (1, 9) or len(sizes) != 1 or min(sizes) % 2 == 0:
        raise ValueError("give one or nine square tables, all of one odd number of rows")
    middle = min(sizes) // 2
    # of nine, those of R and R, G and G, B and B
    wrong = [t[middle][middle] for t in tables[::4] if abs(t[middle][middle] - 1) > 1e-6]
    if wrong:
        raise ValueError(f"the middle of a table is {wrong[0]:g}; a pixel's own correlation is 1")
    return tables


@DEGRADATIONS.register("matched")
class Matched(Degradation):
    """Gaussian noise of given strength, correlation between neighbours and between colours.

        x_c = y_c + k·σ_c(y_c)·n_c

    n has unit variance and is white noise of three colours through a filter, whose 3×3 spectrum is
    the square root of the noise's (Wiener–Khinchin): noise out of a demosaicing is coarser in its
    colour than in its brightness, which no filter of each colour alone can make. Tables that are
    no correlation, their spectrum being negative somewhere, are replaced by such that are.
    `measurement.matched_options` makes these options from photos.

    Args:
        brightness: K increasing brightnesses in [0, 1].
        sigma: K×3, σ of R, G and B where that colour has this brightness, in units of 1/255;
            linear in between, constant beyond.
        correlation: tables of (2r+1)×(2r+1), the correlation of a pixel with those up to r rows
            and columns away: one for all colours; or nine, of a pixel's R with the R around it,
            then R with G, R with B, G with R and so on.
        color: 3×3 correlation between the colours of a pixel; not with nine tables, which tell it.
        scale: range of the strength k, log-uniform, drawn once a sample.
        clamp: clamp the result to [0, 1].

    Raises:
        OptionError: `sigma` has not as many rows as `brightness`, or `color` beside nine tables.
    """

    def __init__(
        self,
        brightness: Annotated[tuple[Unit, ...], AfterValidator(_increasing)] = (0.5,),
        sigma: tuple[tuple[Level, Level, Level], ...] = ((10.0, 10.0, 10.0),),
        correlation: Annotated[tuple[Table, ...], AfterValidator(_centred)] = (((1.0,),),),
        color: tuple[Row, Row, Row] = _WHITE,
        scale: Annotated[tuple[Strength, Strength], AfterValidator(ordered_log)] = (1.0, 1.0),
        clamp: bool = True,
    ) -> None:
        if len(brightness) != len(sigma):
            raise OptionError(
                f"degradation 'matched': {len(sigma)} rows of sigma for {len(brightness)} "
                "brightnesses; give one row of three for each"
            )
        if len(correlation) == 9 and tuple(map(tuple, color)) != _WHITE:
            raise OptionError(
                "degradation 'matched': nine tables of correlation tell that between the colours "
                "themselves; leave color out"
            )
        self.scale = scale
        self.clamp = clamp
        steps = np.linspace(0, 1, _STEPS + 1)
        levels = np.array(sigma, np.float64).T / 255
        # 3×1025: σ by brightness
        self.levels = _float32([np.interp(steps, brightness, level) for level in levels])
        tables = np.array(correlation, np.float64)
        # 3×3×(4r+1)×(4r+1)
        self.filters = _float32(_filters(_spectrum(tables, np.array(color, np.float64))))

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        device = clean.device
        strength = log_uniform(random.rand(1, 1, 1), self.scale).to(device)
        height, width = (size + self.filters.shape[-1] - 1 for size in clean.shape[-2:])
        white = random.randn(3, height, width).to(device)
        noise = F.conv2d(white, self.filters.to(device))
        step = (clean.clamp(0, 1) * _STEPS).round_().long()
        channel = torch.arange(3, device=device)[:, None, None]
        noisy = clean + strength * self.levels.to(device)[channel, step] * noise
        return noisy.clamp_(0, 1) if self.clamp else noisy


def _spectrum(tables: np.ndarray, color: np.ndarray) -> np.ndarray:
    """n×n×3×3 with n = 8r + 8: at each frequency, the power of the colours and of what two of them
    share.

    Args:
        tables: 1 or 9 of (2r+1)×(2r+1).
        color: 3×3, for a single table.
    """
    reach = tables.shape[-1] // 2
    size = 8 * reach + 8
    padded = np.zeros((len(tables), size, size))
    padded[:, : 2 * reach + 1, : 2 * reach + 1] = tables
    spectrum = np.fft.fft2(np.roll(padded, (-reach, -reach), (1, 2)))
    if len(tables) == 9:
        full = np.moveaxis(spectrum.reshape(3, 3, size, size), (0, 1), (2, 3))
    else:
        full = np.einsum("cd,ij->ijcd", color, spectrum[0])
    # the same in opposite directions, with the colours exchanged
    return (full + np.swapaxes(full, 2, 3).conj()) / 2


def _filters(spectrum: np.ndarray) -> np.ndarray:
    """3×3×(4r+1)×(4r+1): from three white colours to three of this spectrum and unit variance."""
    size = len(spectrum)
    value, vector = np.linalg.eigh(spectrum)
    root = (vector * np.sqrt(np.maximum(value, 0))[..., None, :]) @ np.swapaxes(vector, 2, 3).conj()
    response = np.fft.ifft2(np.moveaxis(root, (2, 3), (0, 1))).real
    # the root of a spectrum has a longer tail than the spectrum
    tail = (size - 8) // 4
    taps = np.roll(response, (tail, tail), (2, 3))[:, :, : 2 * tail + 1, : 2 * tail + 1]
    # not turned around: F.conv2d looks in the direction that a correlation is given in
    return taps / np.sqrt((taps**2).sum((1, 2, 3), keepdims=True))


def _float32(values: np.ndarray | list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
