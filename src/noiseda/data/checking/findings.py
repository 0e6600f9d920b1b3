"""What a check found."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from noiseda.errors import DataError
from noiseda.files import write_whole

Kind = Literal["unreadable", "unpaired", "size", "duplicate", "leak"]
#: What each kind of finding means, in the order they are told.
KINDS: dict[Kind, str] = {
    "unreadable": "cannot be decoded",
    "unpaired": "without a counterpart",
    "size": "of a wrong size",
    "duplicate": "the same image twice",
    "leak": "in the training and in the test",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: a key of `KINDS`.
        image: the file.
        other: its counterpart, the same image elsewhere, or that of the test; None if there is
            none.
        detail: what else is known, in words.
        likeness: correlation of the two images' details, up to 1; None if they were not compared.
    """

    kind: Kind
    image: Path
    other: Path | None = None
    detail: str = ""
    likeness: float | None = None

    def line(self) -> str:
        """For people."""
        other = f" and {self.other}" if self.other else ""
        return f"{self.image}{other}: {self.detail}"


@dataclass(frozen=True)
class Report:
    """All findings.

    Attributes:
        folders, clean, test: what was checked.
        images: how many were looked at.
        findings: sorted by kind, then by file.
    """

    folders: list[Path]
    clean: Path | None
    test: list[Path]
    images: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each kind, 0 for those of which there is none."""
        return {kind: Counter(f.kind for f in self.findings)[kind] for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """As plain values: `images`, `counts` and, under `findings`, one mapping each."""
        plain = {
            "folders": [str(folder) for folder in self.folders],
            "clean": None if self.clean is None else str(self.clean),
            "test": [str(folder) for folder in self.test],
            "images": self.images,
            "counts": self.counts,
        }
        return {**plain, "findings": [_plain(asdict(finding)) for finding in self.findings]}

    def write(self, path: Path) -> None:
        """As a JSON file.

        Raises:
            DataError: it cannot be written.
        """
        try:
            write_whole(path, (json.dumps(self.as_json(), indent=1) + "\n").encode())
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written ({error.strerror}); choose another file"
            ) from None


def _plain(finding: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in finding.items()}
