"""The tables of docs/degradations.md: every option, its default, and what is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from noiseda.degradations import DEGRADATIONS, build
from noiseda.errors import NoiseDAError

PAGE = (Path(__file__).parents[2] / "docs" / "degradations.md").read_text()
HEADINGS = {"rain": "## Rain", "motion-blur": "## Motion blur"}
Row = tuple[str, str, Any, str]


def rows() -> Iterator[Row]:
    """Kind, option, default and what is allowed."""
    for kind, heading in HEADINGS.items():
        table = PAGE.split(heading)[1].split("| option | default | allowed | |")[1].split("\n\n")[0]
        for line in table.splitlines()[2:]:
            option, default, allowed, _ = (cell.strip() for cell in line.strip("|").split("|"))
            yield kind, option.strip("`"), yaml.safe_load(default), allowed


@pytest.mark.parametrize(("kind", "option", "default", "allowed"), rows())
def test_an_option(kind: str, option: str, default: Any, allowed: str) -> None:
    def value(number: float) -> Any:
        return [number, number] if isinstance(default, list) else number

    if "`" in allowed:
        for name in allowed.replace("`", "").split(", "):
            build(kind, **{option: name})
        outside = ["none"]
    else:
        low, high = (float(number) for number in allowed.split(" to "))
        build(kind, **{option: value(low)})
        build(kind, **{option: value(high)})
        outside = [value(low - 1), value(high + 1)]
    for wrong in outside:
        with pytest.raises(NoiseDAError, match=option):
            build(kind, **{option: wrong})
    given = inspect.signature(DEGRADATIONS.part(kind)).parameters[option].default
    assert (list(given) if isinstance(given, tuple) else given) == default


@pytest.mark.parametrize("kind", HEADINGS)
def test_every_option(kind: str) -> None:
    options = [option for of, option, *_ in rows() if of == kind]
    assert options == list(inspect.signature(DEGRADATIONS.part(kind)).parameters)
