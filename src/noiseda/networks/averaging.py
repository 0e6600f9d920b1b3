"""Networks between two others of the same shape."""

from __future__ import annotations

import copy

import torch

from noiseda.networks.wrapper import RestorationNetwork


@torch.no_grad()
def interpolate(
    first: RestorationNetwork, second: RestorationNetwork, share: float
) -> RestorationNetwork:
    """A network whose weights lie on the line through those of two.

    Between a network and what fine-tuning made of it, what is gained of the one grows faster than
    what is lost of the other (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Args:
        first, second: of the same architecture and options; they are not changed.
        share: 0 for the first, 1 for the second; less and more lie beyond them.
    """
    network = copy.deepcopy(first)
    other = second.state_dict()
    # not in place: one tensor may have several names
    between = {
        name: weight.lerp(other[name].to(weight), share) if weight.is_floating_point() else weight
        for name, weight in network.state_dict().items()
    }
    network.load_state_dict(between)
    return network
