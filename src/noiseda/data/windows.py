"""Windows cut from stored images, for what would take too long on the whole of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from noiseda.data.store import Store
from noiseda.files import write_whole
from noiseda.random import generator


@dataclass(frozen=True)
class Window:
    """A rectangle of the image `image` of a store; height and width are even."""

    image: int
    top: int
    left: int
    height: int
    width: int

    def of(self, store: Store) -> np.ndarray:
        """Its pixels, H×W×3 uint8."""
        rows = slice(self.top, self.top + self.height)
        return store[self.image][rows, self.left : self.left + self.width]


def cut(shapes: Sequence[tuple[int, int]], count: int, size: int, seed: int) -> list[Window]:
    """`count` windows at random places, equally many in each image but for one; of images spread
    over all if there are more, and fewer of images that are hardly larger than a window.

    Args:
        shapes: height and width of each image; those below two pixels give no window.
        count: of windows.
        size: height and width of a window, even; of smaller images, all but a last odd row or
            column.
        seed: of the places.
    """
    large = [number for number, shape in enumerate(shapes) if min(shape) >= 2]
    if len(large) > count:
        large = [large[index * len(large) // count] for index in range(count)]
    windows = []
    for position, number in enumerate(large):
        share = count // len(large) + (position < count % len(large))
        height, width = shapes[number]
        inside = [min(length, size) // 2 * 2 for length in (height, width)]
        source = generator(seed, number, "windows")
        # a small image has not that many different ones
        for _ in range(min(share, -(-height * width // (inside[0] * inside[1])))):
            top, left = (
                int(torch.randint(length - part + 1, (), generator=source))
                for length, part in zip((height, width), inside, strict=True)
            )
            windows.append(Window(number, top, left, inside[0], inside[1]))
    return windows


def write_store(path: Path, images: Iterable[np.ndarray]) -> None:
    """Write images, H×W×3 uint8, to a file that `window_store` opens.

    Raises:
        OSError: it cannot be written; nothing is left of it then.
    """
    write_whole(path, b"".join(image.tobytes() for image in images))


def continue_store(path: Path, windows: Sequence[Window], make: Callable[[int], np.ndarray]) -> int:
    """Write a file that `window_store` opens, image by image; what is done of it when that is
    interrupted is not made again by the next call.

    Args:
        path: of the file, which appears when it is whole.
        windows: whose sizes the images have.
        make: image `index`, H×W×3 uint8.

    Returns:
        How many images were made by this call.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_suffix(".part")
    ends = _ends(windows)
    with part.open("ab") as file:
        done = int((np.array(ends) <= file.tell()).sum()) - 1
        # the last one may be there in part
        file.truncate(ends[done])
        for index in range(done, len(windows)):
            file.write(make(index).tobytes())
            file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    return len(windows) - done


def window_store(path: Path, windows: Sequence[Window]) -> Store:
    """The images of these windows' sizes in a file of `write_store` or `continue_store`."""
    return Store(path, [(window.height, window.width) for window in windows], _ends(windows)[:-1])


def _ends(windows: Sequence[Window]) -> list[int]:
    """Where images of these sizes begin in a file, and where the last one ends, in bytes."""
    sizes = [window.height * window.width * 3 for window in windows]
    return np.cumsum([0, *sizes]).tolist()
