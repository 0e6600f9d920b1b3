"""Random numbers that belong to a sample, not to a worker, a rank or a moment.

Each sample of a training run has a running number. Everything random about it (crop, flips,
noise, diffusion time step) is drawn from a generator seeded by the run's seed, that number and a
stream name. A run is therefore the same whatever the number of workers or ranks, and knowing the
position is enough to resume it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def generator(seed: int, number: int = 0, stream: str = "") -> torch.Generator:
    """A CPU generator for sample `number` of the run with `seed`; streams are independent."""
    digest = hashlib.blake2b(f"{seed}/{number}/{stream}".encode(), digest_size=8).digest()
    # manual_seed takes a signed 64-bit range; 63 bits avoid the negative half
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


class BatchRandom:
    """Draws for a batch, one generator a sample, so that a sample's draws do not depend on which
    other samples share its batch.

    Args:
        generators: one generator for each sample of the batch.
    """

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._generators = list(generators)

    @classmethod
    def for_samples(cls, seed: int, numbers: Sequence[int], stream: str) -> BatchRandom:
        """One generator for each running number, see `generator`."""
        return cls(generator(seed, number, stream) for number in numbers)

    @classmethod
    def from_generator(cls, source: torch.Generator | None, batch: int) -> BatchRandom:
        """One generator a sample, seeded from `source` (torch's global one if None)."""
        device = source.device if source is not None else None
        seeds = torch.randint(2**62, (batch,), generator=source, device=device)
        return cls(torch.Generator().manual_seed(int(seed)) for seed in seeds)

    def single(self) -> list[BatchRandom]:
        """The draws of each sample alone; they advance together with these."""
        return [BatchRandom([one]) for one in self._generators]

    def randint(self, low: int, high: int) -> Tensor:
        """B integers in [low, high)."""
        return torch.cat([torch.randint(low, high, (1,), generator=g) for g in self._generators])

    def rand(self, *shape: int) -> Tensor:
        """B×shape, uniform in [0, 1)."""
        return torch.stack([torch.rand(shape, generator=g) for g in self._generators])

    def randn(self, *shape: int) -> Tensor:
        """B×shape, standard normal."""
        return torch.stack([torch.randn(shape, generator=g) for g in self._generators])
