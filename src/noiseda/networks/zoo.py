"""Networks of the field with spandrel's implementations: what they share, and any architecture
that spandrel recognises in a weights file."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from noiseda.errors import OptionError
from noiseda.networks import library
from noiseda.networks.spec import Place

Count = Annotated[int, Field(ge=1, le=64)]
# blocks or attention heads of each stage
Counts = Annotated[tuple[Count, ...], Field(min_length=1, max_length=16)]
Width = Annotated[int, Field(ge=1, le=1024)]
Share = Annotated[float, Field(ge=0, lt=1)]
Ratio = Annotated[float, Field(gt=0, le=16)]

# overlap of tiles where they cannot be exact, see `Spec.tile_margin`
MARGIN = 32


class Zoo(nn.Module):
    """One of spandrel's networks: B×3×H×W in the network's value range to the restored image.

    The options of a subclass are arguments of spandrel's constructor, named as in the authors'
    code, so that published settings can be copied.

    Attributes:
        architecture: what spandrel calls it.
        origin: who published it and where.
        licence: of the network's code, as its authors published it.
        usual_parameters: of the network with its default options; told rather than counted, since
            building a network to count them takes the library, which takes seconds to import.
        sizes: published sizes, by name: the options that make them.
        renamed: options that the constructor knows by another name.
        fixed: arguments that are the same for all options.
        ignored: arguments that change nothing that is computed.
        derived: buffers that follow from the options; model files do not hold them.
    """

    # all of them add the input themselves, so the wrapper must not
    global_skip = False
    architecture: ClassVar[str]
    origin: ClassVar[str]
    licence: ClassVar[str]
    usual_parameters: ClassVar[int]
    sizes: ClassVar[dict[str, dict[str, Any]]] = {}
    renamed: ClassVar[dict[str, str]] = {}
    fixed: ClassVar[dict[str, Any]] = {}
    ignored: ClassVar[tuple[str, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()

    size_multiple: int = 1
    minimum_size: int = 1
    square: bool = False
    receptive_radius: int | None = None
    tile_margin: int | None = MARGIN

    def __init__(self, **options: Any) -> None:
        super().__init__()
        arguments = {
            self.renamed.get(name, name): list(value) if isinstance(value, tuple) else value
            for name, value in options.items()
        }
        self.net = library.construct(self.architecture, {**self.fixed, **arguments})
        for module in self.net.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                if name in self.derived:
                    module.register_buffer(name, buffer, persistent=False)

    @classmethod
    def options_of(cls, hyperparameters: dict[str, Any]) -> dict[str, Any] | None:
        """The options that build the network which the constructor makes of these arguments (and
        its defaults); None if no options do."""
        usual = library.defaults_of(cls.architecture)
        given = {**usual, **hyperparameters}
        names = inspect.signature(cls).parameters
        options = {name: given.pop(cls.renamed.get(name, name)) for name in names}
        usual.update(cls.fixed)
        same = all(value == usual[name] for name, value in given.items() if name not in cls.ignored)
        return options if same else None

    @property
    def feature_layer(self) -> nn.Module:
        """The layer whose output stands for the image in objectives that compare domains."""
        raise NotImplementedError

    def forward(self, image: Tensor, place: Place | None = None) -> Tensor:
        return self.net(image)


class Spandrel(nn.Module):
    """Any other architecture that spandrel knows and that maps an RGB image to one of its size.
    Usually made by opening a weights file, which gives the hyperparameters.

    Args:
        architecture: what spandrel calls it, such as "SCUNet".
        hyperparameters: arguments of the network's constructor, where they are not the usual ones.
    """

    global_skip = False
    origin: ClassVar[str] = "any other architecture of spandrel, from a weights file"
    licence: ClassVar[str] = "the architecture's"
    derived: ClassVar[tuple[str, ...]] = ()

    # how far its pixels see is not known
    receptive_radius: int | None = None
    tile_margin: int | None = MARGIN

    def __init__(self, architecture: str, hyperparameters: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.net = library.construct(architecture, hyperparameters or {})
        found = library.describe(architecture, self.net)
        refuse_unfit(found)
        self.size_multiple = found.size_requirements.multiple_of
        self.minimum_size = max(found.size_requirements.minimum, 1)
        self.square = found.size_requirements.square
        self._call = library.call_of(found)

    def forward(self, image: Tensor, place: Place | None = None) -> Tensor:
        return self._call(self.net, image)


def refuse_unfit(descriptor: Any) -> None:
    """Refuse what is no restoration network in this program's sense.

    Args:
        descriptor: spandrel's `ModelDescriptor`.

    Raises:
        OptionError: it makes larger images, repairs faces, fills masks, or is not for RGB.
    """
    from spandrel import ImageModelDescriptor

    channels = (descriptor.input_channels, descriptor.output_channels)
    if not isinstance(descriptor, ImageModelDescriptor):
        problem = "needs a mask beside the image"
    elif descriptor.purpose == "FaceSR":
        problem = "is for faces alone"
    elif descriptor.scale != 1:
        problem = f"makes images {descriptor.scale} times as large"
    elif channels != (3, 3):
        problem = f"takes {channels[0]} and gives {channels[1]} channels, not 3 and 3"
    else:
        return
    raise OptionError(
        f"this {descriptor.architecture.name} model {problem}; only networks that restore an RGB "
        "image at its own size can be used"
    )
