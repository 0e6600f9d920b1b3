"""Training samples: crops that depend on seed and number alone."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noiseda import degradations
from noiseda.data import (
    BatchNumbers,
    TrainingSamples,
    loader,
    open_store,
)
from noiseda.data.samples import random_crop
from noiseda.random import generator
from tests.conftest import photo, write_photos
from tests.data.conftest import stored

# --- crops ------------------------------------------------------------------------------------


def position(number: int, height: int, width: int) -> np.ndarray:
    """A picture whose pixels say where they are: number, row, column."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([np.full_like(rows, number), rows, columns], axis=-1).astype(np.uint8)


def test_crops_reach_every_position_in_every_turn(tmp_path: Path) -> None:
    store = stored(tmp_path, position(0, 6, 5), position(1, 4, 4))
    seen = set()
    for number in range(1500):
        crop = random_crop(store, 4, generator(0, number))
        assert crop.shape == (4, 4, 3)
        assert crop.flags.c_contiguous
        assert crop.flags.writeable
        kind, rows, columns = crop[..., 0], crop[..., 1].astype(int), crop[..., 2].astype(int)
        top, left = rows.min(), columns.min()
        # all pixels of the crop once, next to each other as in the image
        expected = {(r, c) for r in range(top, top + 4) for c in range(left, left + 4)}
        assert set(zip(rows.ravel(), columns.ravel(), strict=True)) == expected
        first, second = np.argwhere((rows == top) & (columns == left))[0], rows[0, 0] == rows[0, 1]
        seen.add((kind[0, 0], top, left, *first, second))
    # a corner's place and the direction of rows tell the eight turns apart
    turns = {entry[3:] for entry in seen}
    assert len(turns) == 8
    places = {(0, top, left) for top in range(3) for left in range(2)} | {(1, 0, 0)}
    assert {entry[:3] for entry in seen} == places
    assert len(seen) == 8 * len(places)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (3, 2), (3, 20), (8, 8)])
def test_small_images_are_reflected(tmp_path: Path, height: int, width: int) -> None:
    picture = photo(height, width)
    store = stored(tmp_path, picture)

    def mirrored(size: int) -> list[int]:
        there_and_back = [*range(size), *range(size - 2, 0, -1)]
        return [there_and_back[i % len(there_and_back)] for i in range(8)]

    lefts = range(max(width - 8, 0) + 1)
    rows = mirrored(height) if height < 8 else list(range(8))
    allowed = set()
    for left in lefts:
        columns = mirrored(width) if width < 8 else list(range(left, left + 8))
        extended = picture[rows][:, columns]
        for turn in range(4):
            for flipped in (extended, extended[:, ::-1]):
                allowed.add(np.ascontiguousarray(np.rot90(flipped, turn)).tobytes())
    seen = {random_crop(store, 8, generator(1, number)).tobytes() for number in range(60)}
    assert seen <= allowed
    assert len(seen) > 1 or len(allowed) == 1


# --- samples ----------------------------------------------------------------------------------


@pytest.fixture
def samples(tmp_path: Path) -> TrainingSamples:
    clean = open_store(
        sorted(write_photos(tmp_path / "clean", ["a.png", "b.png"], (20, 24)).iterdir()),
        tmp_path / "cache",
    )
    real = open_store(
        sorted(write_photos(tmp_path / "real", ["x.png", "y.png", "z.png"], (18, 9)).iterdir()),
        tmp_path / "cache",
    )
    return TrainingSamples(clean, real, clean, degradations.build("gaussian"), 16, seed=3)


def equal(a: Any, b: Any) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(torch.as_tensor(a[role]), torch.as_tensor(b[role])) for role in a)


def test_a_sample_depends_on_seed_and_number_only(samples: TrainingSamples) -> None:
    late: Any = samples[7]
    assert equal(late, samples[7])
    another: Any = samples[8]
    assert not torch.equal(late["clean"], another["clean"])
    assert late["clean"].shape == late["synthetic"].shape == late["real"].shape == (3, 16, 16)
    # roles are drawn independently: the same images as another role give another crop
    assert not torch.equal(late["clean"], late["unpaired"])
    assert 0 < float((late["synthetic"] - late["clean"]).abs().mean()) < 0.4
    roles: Any = samples.stores
    build = samples.degradation
    other: Any = TrainingSamples(roles["clean"], None, None, build, 16, seed=4)[7]
    assert not torch.equal(late["clean"], other["clean"])
    # having real photos or not does not change the synthetic pairs
    alone: Any = TrainingSamples(roles["clean"], None, None, build, 16, seed=3)[7]
    assert alone.keys() == {"clean", "synthetic", "number"}
    assert torch.equal(alone["clean"], late["clean"])
    assert torch.equal(alone["synthetic"], late["synthetic"])


def ramp(samples: TrainingSamples, number: int) -> tuple[float, float]:
    """The slope of a crop of a picture that rises by 1 of 255 from column to column, and how far
    from even it is, away from the picture's borders."""
    sample: Any = samples[number]
    assert sample["clean"].shape == (3, 16, 16)
    assert sample["clean"].min() >= 0
    assert sample["clean"].max() <= 1
    # columns may have become rows
    rises = [255 * sample["clean"][2].diff(dim=axis) for axis in (0, 1)]
    steep = max(rises, key=lambda rise: float(rise.abs().mean())).abs()
    return float(steep.mean()), float(steep.max() - steep.min())


@pytest.mark.parametrize("degradation", ["gaussian", "motion-blur"])
def test_clean_crops_are_resized(tmp_path: Path, degradation: str) -> None:
    store = stored(tmp_path, position(0, 200, 250))
    build = degradations.build(degradation)

    def slopes(low: float, high: float, tolerance: float = 1e-3) -> list[float]:
        made = TrainingSamples(store, None, None, build, 16, seed=3, resize=(low, high))
        found = [ramp(made, number) for number in range(40)]
        # bicubic interpolation keeps what is linear; crops at the borders see a reflection
        return [slope for slope, uneven in found if uneven < tolerance]

    for factor in (1.0, 2.0, 2.7):
        found = slopes(factor, factor)
        assert len(found) > 20
        assert found == pytest.approx([1 / factor] * len(found), abs=1e-4)
    for factor in (0.5, 0.7):
        # antialiased it is linear on the mean only
        found = slopes(factor, factor, tolerance=0.2)
        assert len(found) > 20
        assert found == pytest.approx([1 / factor] * len(found), rel=0.02)
    factors = 1 / np.array(slopes(1, 4))
    assert factors.min() < 1.4
    assert factors.max() > 2.8
    # as many below as above the middle of the logarithm
    assert 0.3 < (factors < 2).mean() < 0.7
    assert slopes(1, 4) == slopes(1, 4)


@settings(max_examples=60, deadline=None)
@given(
    factor=st.floats(0.25, 8),
    patch=st.integers(8, 40),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    number=st.integers(0, 9),
)
def test_images_of_any_size_are_resized(
    tmp_path_factory: pytest.TempPathFactory,
    factor: float,
    patch: int,
    height: int,
    width: int,
    number: int,
) -> None:
    store = stored(tmp_path_factory.mktemp("any"), photo(height, width))
    build = degradations.build("gaussian")
    made = TrainingSamples(store, None, None, build, patch, seed=3, resize=(factor, factor))
    sample: Any = made[number]
    assert sample["clean"].shape == sample["synthetic"].shape == (3, patch, patch)


def test_workers_and_ranks_make_the_same_batches(samples: TrainingSamples) -> None:
    whole = list(loader(samples, BatchNumbers(4, 6)))
    assert [batch["number"].tolist() for batch in whole] == [
        list(range(6 * step, 6 * step + 6)) for step in range(4)
    ]
    for alone, batch in zip(loader(samples, BatchNumbers(4, 6), workers=2), whole, strict=True):
        assert equal(alone, batch)
    parts = [loader(samples, BatchNumbers(4, 6, rank=rank, ranks=2)) for rank in range(2)]
    for first, second, batch in zip(*parts, whole, strict=True):
        assert equal({role: torch.cat([first[role], second[role]]) for role in batch}, batch)
    # a run that starts later goes on with the same batches; its length is the whole run's
    later = loader(samples, BatchNumbers(4, 6, start=2))
    assert len(later) == 4
    for resumed, batch in zip(islice(later, 2), whole[2:], strict=True):
        assert equal(resumed, batch)
