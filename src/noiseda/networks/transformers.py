"""SwinIR, Uformer and Restormer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from noiseda.errors import OptionError
from noiseda.networks.zoo import Count, Counts, Ratio, Share, Width, Zoo

Nine = Annotated[tuple[Count, ...], Field(min_length=9, max_length=9)]
Four = Annotated[tuple[Count, ...], Field(min_length=4, max_length=4)]


class SwinIR(Zoo):
    """SwinIR of Liang et al. (ICCVW 2021) without upsampling: attention within windows, which are
    shifted by half of their size in every second block.

    Args:
        embed_dim: channels; a multiple of each of `num_heads`.
        depths: blocks of each stage.
        num_heads: attention heads of each stage.
        window_size: in pixels.
        mlp_ratio: hidden over outer channels of the feed-forward layers.
        resi_connection: convolutions at the end of each stage.
        img_range: factor of pixel values inside.
        drop_path_rate: greatest probability that a block is left out for an image in training.
    """

    architecture = "SwinIR"
    origin = "Liang et al., ICCVW 2021"
    licence = "Apache-2.0"
    usual_parameters = 11_504_163
    sizes: ClassVar[dict[str, dict[str, Any]]] = {
        "light": {"embed_dim": 60, "depths": (6,) * 4, "num_heads": (6,) * 4},
        "base": {"embed_dim": 180, "depths": (6,) * 6, "num_heads": (6,) * 6},
    }
    # the size that a mask is kept for; for others it is made anew
    ignored = ("img_size",)
    derived = ("attn_mask", "relative_position_index")

    def __init__(
        self,
        embed_dim: Width = 180,
        depths: Counts = (6, 6, 6, 6, 6, 6),
        num_heads: Counts = (6, 6, 6, 6, 6, 6),
        window_size: Annotated[int, Field(ge=2, le=32)] = 8,
        mlp_ratio: Ratio = 2.0,
        resi_connection: Literal["1conv", "3conv"] = "1conv",
        img_range: Annotated[float, Field(gt=0, le=65535)] = 1.0,
        drop_path_rate: Share = 0.1,
    ) -> None:
        if len(depths) != len(num_heads):
            raise OptionError(
                "network 'swinir': depths and num_heads must be equally many; they are "
                f"{len(depths)} and {len(num_heads)}"
            )
        for heads in num_heads:
            _refuse_uneven("swinir", "embed_dim", embed_dim, heads)
        super().__init__(
            img_size=8 * window_size,
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            resi_connection=resi_connection,
            img_range=img_range,
            drop_path_rate=drop_path_rate,
        )
        self.size_multiple = self.minimum_size = window_size
        self.receptive_radius = _swin_radius(depths, window_size, resi_connection)

    @property
    def feature_layer(self) -> nn.Module:
        """The convolution after the last stage."""
        return self.net.get_submodule("conv_after_body")


class Uformer(Zoo):
    """Uformer of Wang et al. (CVPR 2022): a U-Net of five levels with attention within windows.

    Images inside are square, their sides multiples of 16 windows (128 pixels with the published
    window): training with smaller patches takes as long as with patches of that size.

    Args:
        embed_dim: channels of the first level; they double with each.
        depths: blocks of the four levels down, the deepest one, and the four levels up.
        num_heads: attention heads of the same nine.
        win_size: side of a window.
        mlp_ratio: hidden over outer channels of the feed-forward layers.
        token_mlp: feed-forward layers with a depthwise convolution ("leff"), or without ("mlp").
        modulator: whether windows on the way up have learned offsets.
        drop_path_rate: greatest probability that a block is left out for an image in training.
    """

    architecture = "Uformer"
    origin = "Wang et al., CVPR 2022"
    licence = "MIT"
    usual_parameters = 5_291_853
    sizes: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"embed_dim": 16, "depths": (2,) * 9},
        "small": {"embed_dim": 32, "depths": (2,) * 9},
        "base": {"embed_dim": 32, "depths": (1, 2, 8, 8, 2, 8, 8, 2, 1)},
    }
    derived = ("relative_position_index",)
    square = True

    def __init__(
        self,
        embed_dim: Width = 16,
        depths: Nine = (2, 2, 2, 2, 2, 2, 2, 2, 2),
        num_heads: Nine = (1, 2, 4, 8, 16, 16, 8, 4, 2),
        # spandrel's network is of 256×256 pixels, where larger windows would not be shifted
        win_size: Annotated[int, Field(ge=2, le=15)] = 8,
        mlp_ratio: Ratio = 4.0,
        token_mlp: Literal["leff", "mlp"] = "leff",
        modulator: bool = True,
        drop_path_rate: Share = 0.1,
    ) -> None:
        # on the way up a level works on its own features beside those from below
        for level, heads in zip((0, 1, 2, 3, 4, 4, 3, 2, 1), num_heads, strict=True):
            _refuse_uneven("uformer", f"embed_dim × {2**level}", embed_dim * 2**level, heads)
        super().__init__(
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            win_size=win_size,
            mlp_ratio=mlp_ratio,
            token_mlp=token_mlp,
            modulator=modulator,
            drop_path_rate=drop_path_rate,
        )
        self.size_multiple = self.minimum_size = 16 * win_size

    @property
    def feature_layer(self) -> nn.Module:
        """What enters the deepest level: the last layer whose output is a map."""
        return self.net.get_submodule("dowsample_3.conv")


class Restormer(Zoo):
    """Restormer of Zamir et al. (CVPR 2022): a U-Net of four levels with attention between
    channels, which is taken over the whole image.

    Args:
        dim: channels of the first level; they double with each.
        num_blocks: blocks of each level.
        num_refinement_blocks: blocks at the end.
        heads: attention heads of each level.
        ffn_expansion_factor: hidden over outer channels of the feed-forward layers.
        bias: whether convolutions have one.
        layer_norm: "WithBias", or "BiasFree" as in the networks published for denoising.
    """

    architecture = "Restormer"
    origin = "Zamir et al., CVPR 2022"
    licence = "Academic Public License, non-commercial use only"
    usual_parameters = 26_126_644
    renamed: ClassVar[dict[str, str]] = {"layer_norm": "LayerNorm_type"}
    size_multiple = 8

    def __init__(
        self,
        dim: Width = 48,
        num_blocks: Four = (4, 6, 6, 8),
        num_refinement_blocks: Count = 4,
        heads: Four = (1, 2, 4, 8),
        ffn_expansion_factor: Ratio = 2.66,
        bias: bool = False,
        layer_norm: Literal["WithBias", "BiasFree"] = "WithBias",
    ) -> None:
        if dim % 2:
            raise OptionError(f"network 'restormer': dim ({dim}) must be even")
        for level, count in enumerate(heads):
            _refuse_uneven("restormer", f"dim × {2**level}", dim * 2**level, count)
        super().__init__(
            dim=dim,
            num_blocks=num_blocks,
            num_refinement_blocks=num_refinement_blocks,
            heads=heads,
            ffn_expansion_factor=ffn_expansion_factor,
            bias=bias,
            layer_norm=layer_norm,
        )

    @property
    def feature_layer(self) -> nn.Module:
        """The deepest level."""
        return self.net.get_submodule("latent")


def _refuse_uneven(network: str, name: str, channels: int, heads: int) -> None:
    if channels % heads:
        raise OptionError(
            f"network {network!r}: {name} ({channels}) must be a multiple of its {heads} attention "
            "heads"
        )


def _swin_radius(depths: tuple[int, ...], window: int, connection: str) -> int:
    """Farthest input pixel that an output pixel depends on: the interval of needed pixels traced
    backwards through all layers, for every position of the output in a window."""
    convolution = 1 if connection == "1conv" else 2
    radius = 0
    for start in range(window):
        # the last convolution, and the one after the body
        first, last = start - 1 - convolution, start + 1 + convolution
        for depth in reversed(depths):
            first, last = first - convolution, last + convolution
            for block in reversed(range(depth)):
                shift = window // 2 if block % 2 else 0
                first = (first - shift) // window * window + shift
                last = (last - shift) // window * window + shift + window - 1
        # the first convolution
        radius = max(radius, start - (first - 1), last + 1 - start)
    return radius
