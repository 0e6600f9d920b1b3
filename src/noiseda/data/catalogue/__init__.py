"""Public sets of images: what each is, where it comes from, how it is used."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import pydantic
import yaml

from noiseda.errors import OptionError, did_you_mean


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class File(_Strict):
    """An archive of a set.

    Attributes:
        url: where it is.
        bytes: its size, if known.
        sha256, md5: its checksum, if public sources record one.
        recorded_by: who records the checksum.
    """

    url: str
    bytes: int | None = None
    sha256: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{32}$")] | None = None
    recorded_by: str | None = None

    @property
    def name(self) -> str:
        """Its file name."""
        return Path(urlsplit(self.url).path).name

    @property
    def checksum(self) -> str | None:
        """As `algorithm:digest`."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None


class PublicSet(_Strict):
    """A set of images.

    Attributes:
        name: it goes by.
        title: what it is.
        use: the task and its part in it.
        images, size, licence, citation: in words.
        home: its page.
        files: archives that a plain download gives; empty if a form or browser is needed.
        by_hand: what to do instead, if so.
        tree: how it lies on the disk.
        layout: how `noiseda data prepare` reads it.
        prepare: how to make it usable; DIR stands for what was given as --into.
        recipe: where it belongs in a recipe.
        warning: what to beware of.
    """

    name: str
    title: str
    use: str
    images: str
    size: str
    licence: str
    citation: str
    home: str
    files: list[File] = []
    by_hand: str | None = None
    tree: str
    layout: str
    prepare: str
    recipe: str
    warning: str | None = None

    @property
    def unpacked(self) -> str:
        """What `prepare` reads, below what was given as --into."""
        return next(
            word.removeprefix("DIR/") for word in self.prepare.split() if word.startswith("DIR/")
        )


@functools.cache
def catalogue() -> dict[str, PublicSet]:
    """All sets by name."""
    content = yaml.safe_load((Path(__file__).parent / "sets.yaml").read_text("utf-8"))
    return {name: PublicSet(name=name, **entry) for name, entry in content.items()}


def public_set(name: str) -> PublicSet:
    """The set of that name, whatever its case.

    Raises:
        OptionError: there is none.
    """
    known = {key.lower(): value for key, value in catalogue().items()}
    if name.lower() not in known:
        raise OptionError(f"no set {name!r}{did_you_mean(name, catalogue())}")
    return known[name.lower()]
