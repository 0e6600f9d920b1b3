"""Small versions of every registered network, and images for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from noiseda import networks
from noiseda.networks import RestorationNetwork

# for each registered network small versions of it, of all its kinds
SMALL: dict[str, list[dict[str, Any]]] = {
    "unet": [
        {"width": 4, "depth": 4, "upsampling": "aligned"},
        {"width": 2, "depth": 3, "upsampling": "half-pixel"},
        {"width": 3, "depth": 2, "upsampling": "aligned", "value_range": "signed"},
        {"width": 3, "depth": 1},
    ],
    "blind-spot": [
        {"width": 16, "depth": 2, "stride": 1},
        {"width": 16, "depth": 1, "stride": 2, "refinement": 2, "value_range": "signed"},
    ],
    "dncnn": [{"nc": 8, "nb": 8}, {"nc": 8, "nb": 9, "act_mode": "BR"}],
    "nafnet": [
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": (1, 2), "dec_blk_nums": (1, 1)},
    ],
    "restormer": [
        {"dim": 4, "num_blocks": (1,) * 4, "num_refinement_blocks": 1, "heads": (1, 2, 2, 2)},
        {
            "dim": 4,
            "num_blocks": (1,) * 4,
            "num_refinement_blocks": 1,
            "heads": (1,) * 4,
            "bias": True,
            "layer_norm": "BiasFree",
            "value_range": "signed",
        },
    ],
    "swinir": [
        {"embed_dim": 6, "depths": (2, 2), "num_heads": (2, 3), "window_size": 4},
        {
            "embed_dim": 8,
            "depths": (3,),
            "num_heads": (2,),
            "window_size": 3,
            "resi_connection": "3conv",
            "img_range": 2.0,
            "value_range": "signed",
        },
    ],
    "uformer": [
        {"embed_dim": 4, "depths": (1,) * 9, "num_heads": (1,) * 9, "win_size": 2},
        {
            "embed_dim": 4,
            "depths": (2,) + (1,) * 8,
            "num_heads": (2,) * 9,
            "win_size": 2,
            "token_mlp": "mlp",
            "modulator": False,
        },
    ],
    "spandrel": [
        {
            "architecture": "Compact",
            "hyperparameters": {"num_feat": 8, "num_conv": 2, "upscale": 1},
        },
    ],
}
VERSIONS = [
    pytest.param(name, options, id=f"{name}-{number}")
    for name, kinds in SMALL.items()
    for number, options in enumerate(kinds, 1)
]
SIZES = [(1, 1), (1, 37), (37, 1), (7, 5), (13, 22), (24, 16)]


def build(name: str, options: dict[str, Any], seed: int = 0) -> RestorationNetwork:
    """With weights large enough that a residual is far above rounding, and none that are zero."""
    torch.manual_seed(seed)
    network = networks.build(name, **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
            if not parameter.any():
                parameter.normal_(std=0.2)
    return network.eval()


def image(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def largest_difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max())
