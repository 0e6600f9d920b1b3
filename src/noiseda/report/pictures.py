"""The pictures of a report: how they are made, and how they get into its folder."""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from noiseda import images
from noiseda.errors import RunError
from noiseda.report.content import ShownPhoto

#: What the page can show on either side, with the words for it.
VIEWS = {
    "photo": "photo",
    "start": "before adapting",
    "adapted": "after adapting",
    "residual": "removed",
}
# longest side of the pictures to choose by, about
_SMALL = 240
_GAINS = (16, 8, 4, 2, 1)
# numbered, so that no file name of the photos gets into an address
_OURS = re.compile(r"\d+-[a-z]+-[0-9a-f]{16}\.jpg")


class Pictures:
    """The folder of a report's pictures while a new report is made.

    Names follow from the content. So the pictures of the report that is there stay as they are
    until a page that shows the new ones has taken the place of theirs.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is missing.

        Raises:
            RunError: it cannot be made.
        """
        self.folder = folder
        self.written: set[str] = set()
        try:
            self.made = not folder.exists()
            folder.mkdir(exist_ok=True)
            self.before = {path.name for path in folder.iterdir()}
        except OSError as error:
            raise RunError(f"{folder}: cannot write the report here: {error.strerror}") from None

    def add(self, number: int, shown: ShownPhoto) -> dict[str, Any]:
        """Write the views of one photo; what the page has to know about it.

        Raises:
            ImageError: a picture cannot be written.
        """
        removed, gain = residual(shown.photo, shown.adapted)
        views = {"photo": shown.photo, "start": shown.start, "adapted": shown.adapted}
        files = {
            name: self._write(f"{number}-{name}", pixels, shown.profile)
            for name, pixels in views.items()
        }
        files["residual"] = self._write(f"{number}-residual", removed, None)
        height, width, _ = shown.photo.shape
        return {
            "name": shown.name,
            "width": width,
            "height": height,
            "gain": gain,
            "small": self._write(f"{number}-small", smaller(shown.adapted), shown.profile),
            "files": files,
        }

    def _write(self, stem: str, pixels: np.ndarray, profile: bytes | None) -> str:
        """The picture's address, relative to the page."""
        pixels = np.ascontiguousarray(pixels)
        digest = hashlib.blake2b(repr((pixels.shape, profile)).encode(), digest_size=8)
        digest.update(pixels.data)
        name = f"{stem}-{digest.hexdigest()}.jpg"
        self.written.add(name)
        metadata: dict[str, Any] = {"icc-profile-data": profile} if profile else {}
        kind = images.Kind(*pixels.shape[:2], metadata=metadata)
        images.write(self.folder / name, pixels, kind)
        return f"{self.folder.name}/{name}"

    def undo(self) -> None:
        """Leave the folder as it was."""
        self._remove(self.written - self.before)
        if self.made:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def remove_others(self) -> None:
        """Remove the pictures of reports before this one."""
        self._remove({name for name in self.before - self.written if _OURS.fullmatch(name)})

    def _remove(self, names: set[str]) -> None:
        for name in names:
            # a picture too many harms nobody
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)


def residual(photo: np.ndarray, restored: np.ndarray) -> tuple[np.ndarray, int]:
    """What a restoration removed: 128 + gain · (photo − restored), clipped to [0, 255].

    Args:
        photo, restored: H×W×3 uint8.

    Returns:
        H×W×3 uint8, and the gain: the largest of 1, 2, 4, 8 and 16 at which hardly a value (one
        in 200) is clipped.
    """
    difference = photo.astype(np.int16)
    difference -= restored
    step = max(1, max(photo.shape[:2]) // 1000)
    most = np.quantile(np.abs(difference[::step, ::step]), 0.995)
    gain = next((gain for gain in _GAINS if gain * most <= 127), 1)
    difference *= gain
    difference += 128
    return difference.clip(0, 255, out=difference).astype(np.uint8), gain


def smaller(pixels: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 as the means of square blocks, some 240 pixels long where it was longer."""
    height, width, _ = pixels.shape
    block = min(-(-max(height, width) // _SMALL), height, width)
    rows, columns = height // block, width // block
    blocks = pixels[: rows * block, : columns * block].reshape(rows, block, columns, block, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
