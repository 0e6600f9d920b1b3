"""DnCNN and NAFNet."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from noiseda.errors import OptionError
from noiseda.networks.zoo import Counts, Width, Zoo


class DnCNN(Zoo):
    """DnCNN of Zhang et al. (IEEE TIP 2017): 3×3 convolutions with ReLU, which predict the noise;
    the input minus that is the restored image.

    Args:
        nc: channels.
        nb: convolutions; 17 or 20 in the paper.
        act_mode: "BR" with batch normalisation, as in the paper; "R" without, as its authors
            distribute the trained network: then what becomes of an image in training does not
            depend on the others of its batch, and all parameters get a gradient.
    """

    architecture = "DnCNN"
    origin = "Zhang et al., IEEE TIP 2017"
    licence = "MIT"
    usual_parameters = 668_227
    fixed: ClassVar[dict[str, Any]] = {"in_nc": 3, "out_nc": 3}
    tile_margin = None

    def __init__(
        self,
        nc: Width = 64,
        # spandrel tells the network in a file by its first eight convolutions
        nb: Annotated[int, Field(ge=8, le=64)] = 20,
        act_mode: Literal["R", "BR"] = "R",
    ) -> None:
        super().__init__(nc=nc, nb=nb, act_mode=act_mode)
        self.receptive_radius = nb
        if act_mode == "R":
            # torch's own initial weights let less than half pass each layer, so that after twenty
            # of them nothing is left
            for module in list(self._layers)[:-1]:
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    @property
    def _layers(self) -> nn.Sequential:
        layers = self.net.model
        assert isinstance(layers, nn.Sequential)
        return layers

    @property
    def feature_layer(self) -> nn.Module:
        """The last one before the noise."""
        return self._layers[-2]


class NAFNet(Zoo):
    """NAFNet of Chen et al. (ECCV 2022): a U-Net of gated convolutions, each weighted by the mean
    of its channels over the whole image.

    Args:
        width: channels of the first level; they double with each.
        middle_blk_num: blocks of the deepest level.
        enc_blk_nums: blocks of each level on the way down.
        dec_blk_nums: blocks of each level on the way up.
    """

    architecture = "NAFNet"
    origin = "Chen et al., ECCV 2022"
    licence = "MIT"
    usual_parameters = 29_159_715
    sizes: ClassVar[dict[str, dict[str, Any]]] = {
        "sidd32": {"width": 32, "middle_blk_num": 12, "enc_blk_nums": (2, 2, 4, 8)},
        "sidd64": {"width": 64, "middle_blk_num": 12, "enc_blk_nums": (2, 2, 4, 8)},
        "gopro32": {
            "width": 32,
            "middle_blk_num": 1,
            "enc_blk_nums": (1, 1, 1, 28),
            "dec_blk_nums": (1, 1, 1, 1),
        },
    }

    def __init__(
        self,
        width: Width = 32,
        middle_blk_num: Annotated[int, Field(ge=1, le=64)] = 12,
        enc_blk_nums: Counts = (2, 2, 4, 8),
        dec_blk_nums: Counts = (2, 2, 2, 2),
    ) -> None:
        levels = len(enc_blk_nums)
        if levels != len(dec_blk_nums) or levels > 7:
            raise OptionError(
                "network 'nafnet': enc_blk_nums and dec_blk_nums must be equally many, at most 7; "
                f"they are {levels} and {len(dec_blk_nums)}"
            )
        super().__init__(
            width=width,
            middle_blk_num=middle_blk_num,
            enc_blk_nums=enc_blk_nums,
            dec_blk_nums=dec_blk_nums,
        )
        self.size_multiple = 2**levels

    @property
    def feature_layer(self) -> nn.Module:
        """The deepest level."""
        return self.net.get_submodule("middle_blks")
