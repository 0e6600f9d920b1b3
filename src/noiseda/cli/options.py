"""Options that several commands share."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noiseda.checkpoint import ModelInfo


class Task(StrEnum):
    denoise = "denoise"
    derain = "derain"
    deblur = "deblur"


_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def parse_memory(text: str | None) -> int | None:
    """Bytes of "512MB", "2G" or "1.5 GiB" (units are binary); None stays None.

    Raises:
        typer.BadParameter: not such a size.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)i?b?\s*", text.lower())
    if not found or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a memory size; write for example 512MB or 2GB")
    return int(float(found[1]) * _UNITS[found[2]])


def all_there(first: object, count: int) -> str:
    """Why nothing was done, if all of so many files exist."""
    what = f"{first} exists" if count == 1 else f"{first} and {count - 1} more exist"
    return f"{what} already, so nothing was done; --overwrite replaces what is there"


def tell_assumed(info: ModelInfo) -> None:
    """Say so if nothing has told what task a model is for."""
    from noiseda.checkpoint import ASSUMED
    from noiseda.console import stderr

    if ASSUMED in info.provenance:
        text = f"{info.provenance['published']}: {ASSUMED}: {info.provenance[ASSUMED]}; give --task"
        stderr.print(text, highlight=False, markup=False, soft_wrap=True)


Memory = Annotated[
    str | None,
    typer.Option(
        help="Memory for the network's activations, such as 512MB; larger images are computed "
        "in tiles, with the same result unless the network sees whole images. [default: 1.25GB, "
        "or half of what is free]",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Where to compute, such as cpu or cuda. [default: the accelerator if any]"),
]
TaskOption = Annotated[
    Task | None,
    typer.Option(
        help="What the model must be for. A published .pth does not say: there it also sets the "
        "value range ([-1, 1] for derain and deblur)."
    ),
]
