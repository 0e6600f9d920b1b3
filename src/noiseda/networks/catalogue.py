"""What there is to say about each registered network, for people."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from noiseda.networks.wrapper import BODIES
from noiseda.networks.zoo import Spandrel, Zoo

# what takes the extra "zoo"
ZOO = {Spandrel, *Zoo.__subclasses__()}


@dataclass(frozen=True)
class Entry:
    """A registered network.

    Attributes:
        name: its registered name.
        place: "core", or "zoo" if it takes that extra.
        origin: who published it and where.
        licence: of the network's code.
        parameters: with default options; None if there are none of all options.
        about: what it is.
        options: (name, default, meaning) of each option; the default is None if there is none.
        sizes: names of its published sizes.
    """

    name: str
    place: str
    origin: str
    licence: str
    parameters: int | None
    about: str
    options: list[tuple[str, Any, str]]
    sizes: list[str]


def catalogue() -> list[Entry]:
    """All registered networks, those of the core first."""
    found = [entry(name) for name in BODIES.names]
    return sorted(found, key=lambda one: (one.place, one.name == "spandrel", one.name))


def entry(name: str) -> Entry:
    """What there is to say about the network `name`.

    Raises:
        OptionError: unknown name.
    """
    body: Any = BODIES.part(name)
    about, _, arguments = (inspect.getdoc(body) or "").partition("\nArgs:\n")
    found = re.findall(r"^    (\w+): ((?:.+(?:\n {8})?)+)", arguments, re.MULTILINE)
    meanings = {key: _line(text).rstrip(".") for key, text in found}
    fields = BODIES.schema(name).model_fields
    options = [
        (key, None if field.is_required() else field.default, meanings.get(key, ""))
        for key, field in fields.items()
    ]
    inside = '"unit" if it works on [0, 1] inside, "signed" for [-1, 1]'
    return Entry(
        name=name,
        place="zoo" if body in ZOO else "core",
        origin=body.origin,
        licence=body.licence,
        parameters=getattr(body, "usual_parameters", None),
        about=_line(about),
        options=[*options, ("value_range", "unit", inside)],
        sizes=list(getattr(body, "sizes", {})),
    )


def _line(text: str) -> str:
    return " ".join(text.split())
