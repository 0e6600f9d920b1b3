"""Types of a recipe's fields: what may be written in a shorter form, and bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from noiseda import degradations
from noiseda.data import AbsolutePath, Selection


def _selection(value: Any) -> Any:
    # a number is a folder's name that YAML has taken for one; the field says what to do
    return {"folder": value} if isinstance(value, str | Path | int | float) else value


def selections(value: Any) -> Any:
    return [value] if isinstance(value, str | Path | int | float | dict) else value


def _folders(value: Any) -> Any:
    return [value] if isinstance(value, str | Path | int | float) else value


# a folder, a mapping with include and exclude patterns, or a list of either
One = Annotated[Selection, BeforeValidator(_selection)]
Many = Annotated[list[One], BeforeValidator(selections)]
Folders = Annotated[list[AbsolutePath], BeforeValidator(_folders)]
# the bound keeps step numbers within the nine digits of a checkpoint's name
Images = Annotated[int, Field(ge=1, lt=10**9)]
# beyond it nothing but blur is left
Factor = Annotated[float, Field(ge=1, le=8)]


def part(check: Callable[..., dict[str, Any]]) -> BeforeValidator:
    """Validate a part's name and options against the registry it comes from."""

    def validate(value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ValueError("expected a mapping with 'name' and the options of that part")
        name = value["name"]
        options = {str(key): option for key, option in value.items() if key != "name"}
        return {"name": name, **check(name, **options)}

    return BeforeValidator(validate)


def options_of(registry: Any) -> Callable[..., dict[str, Any]]:
    return lambda name, **options: registry.options(name, options)


Degraded = Annotated[dict[str, Any], part(options_of(degradations.DEGRADATIONS))]
