"""Files of images: which are chosen, and that they are decoded once."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.data import (
    Selection,
    Store,
    open_store,
    select,
)
from noiseda.errors import DataError
from tests.conftest import photo, write_photos
from tests.data.conftest import stored


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
