"""Data: which files, decoded once, and samples that depend on seed and number alone."""

from __future__ import annotations

import os
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noiseda import degradations, images
from noiseda.data import (
    BatchNumbers,
    Selection,
    Store,
    TrainingSamples,
    loader,
    open_store,
    select,
)
from noiseda.data.samples import random_crop
from noiseda.errors import DataError
from noiseda.random import generator
from tests.conftest import photo, write_photos


def stored(tmp_path: Path, *pictures: np.ndarray) -> Store:
    """A store of these H×W×3 uint8 pictures."""
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        images.write(path, picture)
    return open_store(paths, tmp_path / "cache")


def refused(act, *words: str) -> str:
    with pytest.raises(DataError) as caught:
        act()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message
    return message


# --- which files ------------------------------------------------------------------------------


def test_include_and_exclude(tmp_path: Path) -> None:
    write_photos(tmp_path, ["01_a.png", "01_b.png", "02_a.png", "in/01_c.png"], (8, 8))

    def names(**patterns: list[str]) -> list[str]:
        return [name for name, _ in select([Selection(folder=tmp_path, **patterns)])]

    assert names() == ["01_a.png", "01_b.png", "02_a.png", "in/01_c.png"]
    assert names(include=["01*.png"]) == ["01_a.png", "01_b.png"]
    assert names(include=["in/*", "02*"]) == ["02_a.png", "in/01_c.png"]
    assert names(exclude=["*_a.png"]) == ["01_b.png", "in/01_c.png"]
    assert names(include=["01*"], exclude=["*_b.png"]) == ["01_a.png"]
    twice = select([Selection(folder=tmp_path / "in"), Selection(folder=tmp_path, include=["02*"])])
    assert [path.name for _, path in twice] == ["01_c.png", "02_a.png"]
    refused(lambda: names(include=["*.tif"]), str(tmp_path), "4 images", "*.tif")


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no image")
    for name, word in (("absent", "no such folder"), ("empty", "empty"), ("other", "1 other file")):
        folder = tmp_path / name
        refused(lambda folder=folder: select([Selection(folder=folder)]), str(folder), word)


# --- decoded once -----------------------------------------------------------------------------


def test_store_holds_the_pixels_and_does_not_decode_again(tmp_path: Path) -> None:
    pictures = [photo(9, 7, 1), photo(5, 12, 2)]
    store = stored(tmp_path, *pictures)
    (pixels,) = (tmp_path / "cache").glob("*/*.bin")
    before = pixels.stat()
    paths = sorted(tmp_path.glob("*.png"))
    decoded = []
    again = open_store(paths, tmp_path / "cache", lambda *counts: decoded.append(counts))
    assert decoded == []
    assert (pixels.stat().st_ino, pixels.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    # a worker process gets the store by pickle, without the pixels
    sent = pickle.dumps(again)
    assert len(sent) < 2000
    for opened in (store, again, pickle.loads(sent)):
        assert len(opened) == 2
        for picture, pixel in zip(pictures, (opened[0], opened[1]), strict=True):
            assert np.array_equal(picture, pixel)
    with pytest.raises(ValueError, match="read-only"):
        store[0][0, 0] = 0


def spoil(path: Path) -> None:
    """Make a file unreadable without changing its size or time: decoding it again would fail."""
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_only_what_changed_is_decoded_again(tmp_path: Path) -> None:
    folder, cache = tmp_path / "photos", tmp_path / "cache"
    write_photos(folder, ["a.png", "b.png", "c.png"], (8, 9))
    paths = sorted(folder.iterdir())
    expected = [images.read_rgb8(path) for path in paths]
    open_store(paths, cache)
    spoil(paths[0])

    def check(store: Store) -> None:
        assert len(store) == len(expected)
        for number, picture in enumerate(expected):
            assert np.array_equal(store[number], picture)

    # another size
    expected[1] = photo(20, 30, 7)
    images.write(paths[1], expected[1])
    check(open_store(paths, cache))
    # the same size, another time
    status = paths[2].stat()
    expected[2] = expected[2][::-1]
    data = paths[2].read_bytes()
    images.write(paths[2], expected[2])
    paths[2].write_bytes(paths[2].read_bytes().ljust(len(data), b"\0"))
    os.utime(paths[2], ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    check(open_store(paths, cache))
    # an image more
    write_photos(folder, ["d.png"], (4, 4))
    paths.append(folder / "d.png")
    expected.append(images.read_rgb8(paths[3]))
    check(open_store(paths, cache))
    # an image less; what was decoded of it does not stay on the disk
    paths.pop(1).unlink()
    expected.pop(1)
    check(open_store(paths, cache))
    sizes = [path.stat().st_size for path in cache.glob("*/*.bin")]
    assert max(sizes) == sum(picture.size for picture in expected)
    # a part of the folder needs no decoding either, and leaves the whole as it is
    paths, expected = paths[:1], expected[:1]
    check(open_store(paths, cache))
    assert max(path.stat().st_size for path in cache.glob("*/*.bin")) == max(sizes)


def test_lost_pixels_are_decoded_again(tmp_path: Path) -> None:
    picture = photo(6, 6)
    stored(tmp_path, picture)
    for damage in (lambda path: path.unlink(), lambda path: os.truncate(path, 10)):
        (pixels,) = (tmp_path / "cache").glob("*/*.bin")
        damage(pixels)
        assert np.array_equal(open_store([tmp_path / "0.png"], tmp_path / "cache")[0], picture)
    (index,) = (tmp_path / "cache").glob("*/index.json")
    index.write_text("[1]")
    assert np.array_equal(open_store([tmp_path / "0.png"], tmp_path / "cache")[0], picture)


def test_unreadable_images_are_all_named(tmp_path: Path) -> None:
    write_photos(tmp_path, [f"{number}.png" for number in range(6)], (8, 8))
    paths = sorted(tmp_path.glob("*.png"))
    for path in paths[1:]:
        spoil(path)
    message = refused(lambda: open_store(paths, tmp_path / "cache"), "5 of 6 images")
    assert all(str(path) in message for path in paths[1:])
    assert str(paths[0]) not in message
    # nothing half-written stays behind
    assert not list((tmp_path / "cache").rglob("*.*"))
    paths += [tmp_path / "gone.png", tmp_path / "away.png"]
    refused(lambda: open_store(paths, tmp_path / "cache"), "2 of 8", "gone.png", "away.png")


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.png"], (8, 8))
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    refused(lambda: open_store([tmp_path / "a.png"], cache), str(cache), "data.cache")


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
def test_clean_crops_are_enlarged(tmp_path: Path, degradation: str) -> None:
    store = stored(tmp_path, position(0, 200, 250))
    build = degradations.build(degradation)

    def slopes(low: float, high: float) -> list[float]:
        made = TrainingSamples(store, None, None, build, 16, seed=3, enlarge=(low, high))
        found = [ramp(made, number) for number in range(40)]
        # bicubic interpolation keeps what is linear; crops at the borders see a reflection
        return [slope for slope, uneven in found if uneven < 1e-3]

    for factor in (1.0, 2.0, 2.7):
        found = slopes(factor, factor)
        assert len(found) > 20
        assert found == pytest.approx([1 / factor] * len(found), abs=1e-4)
    factors = 1 / np.array(slopes(1, 4))
    assert factors.min() < 1.4
    assert factors.max() > 2.8
    # as many below as above the middle of the logarithm
    assert 0.3 < (factors < 2).mean() < 0.7
    assert slopes(1, 4) == slopes(1, 4)


@settings(max_examples=60, deadline=None)
@given(
    factor=st.floats(1, 8),
    patch=st.integers(8, 40),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    number=st.integers(0, 9),
)
def test_images_of_any_size_are_enlarged(
    tmp_path_factory: pytest.TempPathFactory,
    factor: float,
    patch: int,
    height: int,
    width: int,
    number: int,
) -> None:
    store = stored(tmp_path_factory.mktemp("any"), photo(height, width))
    build = degradations.build("gaussian")
    made = TrainingSamples(store, None, None, build, patch, seed=3, enlarge=(factor, factor))
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
