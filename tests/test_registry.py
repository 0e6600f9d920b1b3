"""Parts by name: what is checked, and what the messages say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import Field

from noiseda.errors import OptionError, did_you_mean
from noiseda.registry import Registry, explain

PARTS: Registry[object] = Registry("part")


@PARTS.register("wheel")
class Wheel:
    def __init__(
        self,
        radius: Annotated[float, Field(gt=0, le=10)],
        spokes: Annotated[int, Field(ge=3)] = 8,
        tyre: Literal["slick", "grooved"] = "slick",
        marks: tuple[int, int] = (0, 1),
    ) -> None:
        self.given = (radius, spokes, tyre, marks)


@PARTS.register("axle")
def axle(length: int = 3) -> object:
    return length


def refused(name: Any, **options: Any) -> str:
    with pytest.raises(OptionError) as caught:
        PARTS.build(name, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_build_fills_in_defaults() -> None:
    wheel: Any = PARTS.build("wheel", radius=2, marks=[4, 5])
    assert wheel.given == (2.0, 8, "slick", (4, 5))
    assert PARTS.build("axle") == 3
    assert PARTS.names == ["axle", "wheel"]
    options = PARTS.options("wheel", {"radius": 1})
    assert options == {"radius": 1.0, "spokes": 8, "tyre": "slick", "marks": (0, 1)}
    # what options returns is everything that build needs
    assert PARTS.options("wheel", options) == options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"radius": 1, "spoke": 4}, ["unknown key 'spoke'; did you mean 'spokes'?"]),
        ({"radius": 1, "zzz": 4}, ["unknown key 'zzz'; known: marks, radius, spokes, tyre"]),
        ({}, ["'radius' is missing"]),
        ({"radius": "wide"}, ["radius: ", "valid number", "(got 'wide')"]),
        ({"radius": 0}, ["radius: ", "greater than 0", "(got 0)"]),
        ({"radius": 11}, ["radius: ", "less than or equal to 10", "(got 11)"]),
        ({"radius": float("nan")}, ["radius: "]),
        ({"radius": 1, "spokes": 4.5}, ["spokes: ", "(got 4.5)"]),
        ({"radius": 1, "tyre": "slik"}, ["tyre: ", "'slick' or 'grooved'", "(got 'slik')"]),
        ({"radius": 1, "marks": [1]}, ["'marks.1' is missing"]),
        ({"radius": 0, "spokes": 1}, ["radius: ", "; spokes: "]),
    ],
)
def test_wrong_options(options: dict[str, Any], words: list[str]) -> None:
    message = refused("wheel", **options)
    assert message.startswith("part 'wheel': ")
    for word in words:
        assert word in message


def test_unknown_names() -> None:
    assert refused("whel") == "unknown part 'whel'; did you mean 'wheel'?"
    assert refused("brake") == "unknown part 'brake'; known: axle, wheel"
    # as a recipe may have it
    assert refused(3).startswith("unknown part 3; known: ")
    assert refused(["wheel"]).startswith("unknown part ['wheel']")


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    folder: str = ""


class Outer(Inner):
    one: Inner | None = None
    many: list[Annotated[Inner, Field()]] = []
    plain: dict[str, int] = {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"mny": []}, "unknown key 'mny'; did you mean 'many'?"),
        ({"one": {"fodler": ""}}, "unknown key 'one.fodler'; did you mean 'folder'?"),
        ({"many": [{}, {"fodler": ""}]}, "unknown key 'many.1.fodler'; did you mean 'folder'?"),
        ({"plain": {"a": "x"}}, "plain.a: "),
    ],
)
def test_explain_suggests_at_every_depth(content: dict[str, Any], expected: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Outer.model_validate(content)
    assert explain(caught.value, Outer).startswith(expected)


def test_did_you_mean() -> None:
    assert did_you_mean("widht", ["width", "depth"]) == "; did you mean 'width'?"
    assert did_you_mean("zzz", ["width", "depth"]) == "; known: depth, width"
    assert did_you_mean("zzz", []) == ""


def test_what_is_not_at_its_default() -> None:
    given = {"radius": 2, "spokes": 8, "tyre": "slick", "marks": [0, 1]}
    assert PARTS.changed("wheel", given) == {"radius": 2}
    others = {"spokes": 9, "marks": [1, 1]}
    assert PARTS.changed("wheel", given | others) == {"radius": 2} | others
