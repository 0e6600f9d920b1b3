"""Networks as other programs write them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from noiseda.networks import library

# what spandrel builds, and what it is called here
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "dncnn": ("DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 8, "nb": 8, "act_mode": "R"}),
    "dncnn-bn": ("DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 8, "nb": 8, "act_mode": "BR"}),
    "nafnet": (
        "NAFNet",
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1, 2], "dec_blk_nums": [1, 1]},
    ),
    "restormer": (
        "Restormer",
        {"dim": 8, "num_blocks": [1] * 4, "num_refinement_blocks": 1, "LayerNorm_type": "BiasFree"},
    ),
    "swinir": (
        "SwinIR",
        {"embed_dim": 6, "depths": [2], "num_heads": [2], "window_size": 4, "img_size": 32},
    ),
    "uformer": (
        "Uformer",
        {"embed_dim": 4, "depths": [1] * 9, "num_heads": [1] * 9, "win_size": 2},
    ),
    "spandrel": (
        "KBNet",
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1], "dec_blk_nums": [1]},
    ),
    "spandrel-shared": ("MPRNet", {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4}),
}


def foreign(kind: str) -> nn.Module:
    """A network as another program has it, without weights that are zero."""
    torch.manual_seed(0)
    name, hyperparameters = FILES[kind]
    network = library.construct(name, hyperparameters)
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.2)
    return network
