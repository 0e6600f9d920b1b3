"""Several degradations, one of them for each sample."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from noiseda.degradations.base import DEGRADATIONS, Degradation
from noiseda.errors import OptionError
from noiseda.random import BatchRandom


@DEGRADATIONS.register("mixture")
class Mixture(Degradation):
    """Each sample is degraded by one of several degradations, drawn with equal chance.

    Args:
        parts: the degradations: mappings with `name` and the options of each. To make one likelier
            than another, name it more often.

    Raises:
        OptionError: a part has no name, is unknown, or has a wrong option.
    """

    def __init__(self, parts: Annotated[list[dict[str, Any]], Field(min_length=1)]) -> None:
        self.parts = [_build(part) for part in parts]

    @property
    def tasks(self) -> frozenset[str]:
        return frozenset().union(*(part.tasks for part in self.parts))

    @property
    def margin(self) -> int:
        return max(part.margin for part in self.parts)

    def degrade(self, clean: Tensor, random: BatchRandom) -> Tensor:
        chosen = random.randint(0, len(self.parts)).tolist()
        # each part draws from the sample's own generator, so samples stay independent
        samples = zip(clean.split(1), chosen, random.single(), strict=True)
        return torch.cat([self.parts[part].degrade(one, draws) for one, part, draws in samples])


def _build(part: dict[str, Any]) -> Degradation:
    options = dict(part)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise OptionError(f"degradation 'mixture': a part without a name: {part}")
    return DEGRADATIONS.build(name, **options)
