"""Noise schedules and the noise predictors that guide the adaptation.

A noise predictor takes the noisy clean image and two conditions, side by side (B×9×H×W), and the
noise level γ (B×1), and predicts the noise (B×3×H×W). It exists only while training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from noiseda.diffusion import guided, sr3
from noiseda.diffusion.guided import Guided
from noiseda.diffusion.layers import NoisePredictor
from noiseda.diffusion.sampling import SAMPLERS, Sampler, levels, sample
from noiseda.diffusion.schedules import Schedule, betas
from noiseda.diffusion.sr3 import SR3
from noiseda.errors import ModelFileError, OptionError
from noiseda.registry import Registry

__all__ = [
    "PREDICTORS",
    "SAMPLERS",
    "SR3",
    "Guided",
    "NoisePredictor",
    "Sampler",
    "Schedule",
    "betas",
    "build",
    "build_schedule",
    "infer",
    "levels",
    "sample",
]

PREDICTORS: Registry[nn.Module] = Registry("noise predictor")
PREDICTORS.register(Guided.kind)(Guided)
PREDICTORS.register(SR3.kind)(SR3)
_SCHEDULES: Registry[Schedule] = Registry("noise")
_SCHEDULES.register("schedule")(Schedule)

_USUAL_GROUPS = 32
_USUAL_HEAD_CHANNELS = 32


def build(name: str, **options: Any) -> nn.Module:
    """The noise predictor "guided" or "sr3"; options as the parameters of `Guided` or `SR3`.

    Raises:
        OptionError: unknown name or option, wrong type, value out of range.
    """
    return PREDICTORS.build(name, **options)


def build_schedule(**options: Any) -> Schedule:
    """A noise schedule with checked options; see `Schedule`.

    Raises:
        OptionError: unknown option, wrong type, value out of range.
    """
    return _SCHEDULES.build("schedule", **options)


def infer(state: Mapping[str, Tensor], **known: Any) -> tuple[str, dict[str, Any]]:
    """Kind and options of the noise predictor that a published state dict belongs to.

    `build(name, **options).load_state_dict(state, strict=True)` then succeeds. Three options leave
    no trace in the shapes and follow a rule unless they are given:

    - head_channels ("guided"): the greatest divisor of 32 that divides every attention's channels;
    - groups ("sr3"): the greatest divisor of 32 that divides the channels of every normalisation
      into groups of at least two;
    - dropout: the default. It matters in training only.

    Args:
        state: parameters by their published names, the prefix "denoise_fn." taken off.
        known: options that are known from elsewhere; they override what was read or assumed.

    Raises:
        ModelFileError: the weights belong to no noise predictor, some are missing, or they do not
            fit the known options.
        OptionError: a known option is none of the predictor's, or out of range.
    """
    kinds = {"input_blocks.0.0.weight": Guided.kind, "downs.0.weight": SR3.kind}
    name = next((kind for key, kind in kinds.items() if key in state), None)
    if name is None:
        raise ModelFileError(
            f"weights of no known noise predictor: {' or '.join(kinds)} is missing; "
            f"use a checkpoint that was saved while training"
        )
    PREDICTORS.options(name, known)
    try:
        if name == Guided.kind:
            options = guided.infer_options(state)
            attended = [v.shape[1] for key, v in state.items() if key.endswith("qkv.weight")]
            options["head_channels"] = math.gcd(_USUAL_HEAD_CHANNELS, *attended)
        else:
            options = sr3.infer_options(state)
            normed = [
                value.shape[0]
                for key, value in state.items()
                if key.endswith((".block.0.weight", ".norm.weight"))
            ]
            options["groups"] = max(1, math.gcd(_USUAL_GROUPS, *(width // 2 for width in normed)))
        PREDICTORS.options(name, options)
    except (KeyError, OptionError) as error:
        raise ModelFileError(f"incomplete weights of noise predictor {name!r}: {error}") from None
    options = PREDICTORS.options(name, {**options, **known})
    with torch.device("meta"):
        expected = build(name, **options).state_dict()
    for key in sorted(expected.keys() | state.keys()):
        wanted, found = (list(d[key].shape) if key in d else "none" for d in (expected, state))
        if wanted != found:
            raise ModelFileError(
                f"weights do not fit noise predictor {name!r}: {key} should be {wanted}, "
                f"is {found}; use an undamaged checkpoint, or leave out options given by hand"
            )
    return name, options
