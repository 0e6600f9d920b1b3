"""Which network is in a weights file of another program."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from noiseda.errors import OptionError
from noiseda.networks import library
from noiseda.networks.wrapper import BODIES
from noiseda.networks.zoo import Zoo, refuse_unfit

Recognised = tuple[str, dict[str, Any], dict[str, Tensor]]


def recognise(content: dict[str, Any]) -> Recognised | None:
    """Find out by names and shapes of weights which architecture they are of.

    Args:
        content: weights by name, perhaps within another mapping ("params_ema", "state_dict", …).

    Returns:
        Registered name, options and the weights under the names that the network has for them;
        None if no architecture is recognised.

    Raises:
        MissingExtraError: the extra "zoo" is not installed.
        OptionError: the architecture is recognised, but its weights are not as they should be, or
            it restores no RGB images at their own size.
    """
    found = library.load(content)
    if found is None:
        return None
    refuse_unfit(found)
    weights: dict[str, Tensor] = dict(found.model.state_dict())
    arguments = library.hyperparameters_of(found.model)
    identifier = found.architecture.id
    for name in BODIES.names:
        body = BODIES.part(name)
        if getattr(body, "architecture", None) != identifier:
            continue
        body = cast(type[Zoo], body)
        try:
            options = body.options_of(arguments)
            if options is not None:
                BODIES.options(name, options)
                return name, options, _without(weights, body.derived)
        except OptionError:
            # of a size that this program does not build by name
            pass
    return "spandrel", {"architecture": identifier, "hyperparameters": arguments}, weights


def _without(weights: dict[str, Tensor], derived: tuple[str, ...]) -> dict[str, Tensor]:
    return {
        name: value for name, value in weights.items() if name.rpartition(".")[2] not in derived
    }
