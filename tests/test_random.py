"""Random numbers that belong to a sample."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from noiseda.random import BatchRandom, generator


def draws(random: BatchRandom) -> list[Tensor]:
    """One of each kind."""
    return [random.randint(1, 1000), random.rand(1), random.randn(2, 3), random.rand()]


def test_generators_differ_by_seed_number_and_stream() -> None:
    keys = [
        (0, 0, ""),
        (1, 0, ""),
        (0, 1, ""),
        (0, 0, "clean"),
        (0, 0, "real"),
        (1, 10, ""),
        (11, 0, ""),
    ]
    first = [float(torch.rand((), generator=generator(*key))) for key in keys]
    assert len(set(first)) == len(keys)
    assert first == [float(torch.rand((), generator=generator(*key))) for key in keys]
    # the same on every machine and in every version: else an old run could not be resumed
    assert generator(0, 0, "clean").initial_seed() == 4510794000719777353


@settings(max_examples=20)
@given(st.integers(0, 2**60), st.integers(0, 2**40))
def test_any_seed_and_number_gives_a_generator(seed: int, number: int) -> None:
    assert 0 <= generator(seed, number, "x").initial_seed() < 2**63


@settings(max_examples=20)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=5, unique=True), st.randoms())
def test_draws_of_a_sample_do_not_depend_on_its_batch(numbers: list[int], shuffle) -> None:
    together = draws(BatchRandom.for_samples(5, numbers, "objective"))
    mixed = list(numbers)
    shuffle.shuffle(mixed)
    elsewhere = draws(BatchRandom.for_samples(5, mixed, "objective"))
    for at, number in enumerate(numbers):
        alone = draws(BatchRandom.for_samples(5, [number], "objective"))
        for one, batch, other in zip(alone, together, elsewhere, strict=True):
            assert torch.equal(one[0], batch[at])
            assert torch.equal(one[0], other[mixed.index(number)])


def test_shapes_and_ranges() -> None:
    random = BatchRandom.for_samples(0, range(200), "s")
    step = random.randint(3, 6)
    assert step.dtype == torch.int64
    assert set(step.tolist()) == {3, 4, 5}
    uniform, normal = random.rand(50), random.randn(3, 4, 5)
    assert uniform.shape == (200, 50)
    assert 0 <= float(uniform.min()) < 0.01
    assert 0.99 < float(uniform.max()) < 1
    assert normal.shape == (200, 3, 4, 5)
    assert abs(float(normal.mean())) < 0.05
    assert abs(float(normal.std()) - 1) < 0.05


def test_from_a_generator_it_can_be_repeated_and_goes_on() -> None:
    source = generator(1)
    first, second = (draws(BatchRandom.from_generator(source, 3)) for _ in range(2))
    again = draws(BatchRandom.from_generator(generator(1), 3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], second[2])
    torch.manual_seed(4)
    third = draws(BatchRandom.from_generator(None, 3))
    torch.manual_seed(4)
    fourth = draws(BatchRandom.from_generator(None, 3))
    assert all(torch.equal(a, b) for a, b in zip(third, fourth, strict=True))
