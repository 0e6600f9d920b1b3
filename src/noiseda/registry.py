"""Build parts by name: networks, predictors, degradations and objectives.

A part's options are the keyword parameters of its constructor. Their annotations carry types and
ranges (`Annotated[int, Field(ge=1)]`), so the same declaration checks a call from Python, a recipe
and the JSON schema that editors use.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import pydantic
from pydantic_core import to_jsonable_python

from noiseda.errors import OptionError, did_you_mean

T = TypeVar("T")
Part = TypeVar("Part", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Named constructors of one kind of part.

    Args:
        kind: what the parts are, for error messages: "network", "objective".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, Callable[..., T]] = {}
        self._schemas: dict[str, type[pydantic.BaseModel]] = {}

    def register(self, name: str) -> Callable[[Part], Part]:
        """Class decorator: make the constructor known under `name`."""

        def add(part: Part) -> Part:
            self._parts[name] = part
            return part

        return add

    @property
    def names(self) -> list[str]:
        return sorted(self._parts)

    def part(self, name: str) -> Callable[..., T]:
        """The constructor of `name`.

        Raises:
            OptionError: no part has that name.
        """
        # a recipe may hold anything where a name belongs
        if not isinstance(name, str) or name not in self._parts:
            raise OptionError(f"unknown {self.kind} {name!r}{did_you_mean(str(name), self._parts)}")
        return self._parts[name]

    def schema(self, name: str) -> type[pydantic.BaseModel]:
        """The options of `name` as a pydantic model that refuses unknown keys.

        Raises:
            OptionError: no part has that name.
        """
        part = self.part(name)
        if name not in self._schemas:
            hints = typing.get_type_hints(
                part.__init__ if inspect.isclass(part) else part, include_extras=True
            )
            fields: dict[str, Any] = {}
            for key, parameter in inspect.signature(part).parameters.items():
                required = parameter.default is inspect.Parameter.empty
                fields[key] = (hints.get(key, Any), ... if required else parameter.default)
            config = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)
            self._schemas[name] = pydantic.create_model(name, __config__=config, **fields)
        return self._schemas[name]

    def options(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """All options of `name`, checked, defaults filled in.

        Raises:
            OptionError: unknown name or option, wrong type, value out of range.
        """
        schema = self.schema(name)
        try:
            model = schema(**given)
        except pydantic.ValidationError as error:
            raise OptionError(f"{self.kind} {name!r}: {explain(error, schema)}") from None
        return {key: getattr(model, key) for key in schema.model_fields}

    def changed(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the options that are not at their defaults.

        Args:
            name: of the part.
            options: plain values, as in JSON; keys that are no options are kept.

        Raises:
            OptionError: no part has that name.
        """
        fields = self.schema(name).model_fields
        defaults = {
            key: to_jsonable_python(field.default)
            for key, field in fields.items()
            if not field.is_required()
        }
        return {k: v for k, v in options.items() if k not in defaults or defaults[k] != v}

    def build(self, name: str, /, **options: Any) -> T:
        """Construct the part `name` with checked options.

        Raises:
            OptionError: unknown name or option, wrong type, value out of range.
        """
        checked = self.options(name, options)
        return self._parts[name](**checked)


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    """A validation error as one line: each faulty key, what is wrong, the nearest right key."""
    parts = []
    for problem in error.errors():
        where = ".".join(str(piece) for piece in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _fields_at(model, problem["loc"][:-1])
            hint = did_you_mean(str(problem["loc"][-1]), known)
            parts.append(f"unknown key {where!r}{hint}")
        elif problem["type"] == "missing":
            parts.append(f"{where!r} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            if problem["type"] == "tuple_type":
                message = "give several values, such as [1, 2]"
            value = problem.get("input")
            shown = f" (got {value!r})" if isinstance(value, str | int | float | bool) else ""
            parts.append(f"{where}: {message}{shown}" if where else message)
    return "; ".join(parts)


def _fields_at(model: type[pydantic.BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the nested model that `path` leads to."""
    for piece in path:
        field = model.model_fields.get(str(piece))
        if field is None:
            continue
        nested = _model_in(field.annotation)
        if nested is None:
            return []
        model = nested
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The model in annotations such as `X`, `X | None` and `list[Annotated[X, …]]`."""
    if inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    found = (_model_in(part) for part in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)
