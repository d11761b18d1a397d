"""How this dialect asks: ids that are called after their noun, and queries that are checked as bodies are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from quart import request

from roci import Invalid, Malformed

from ..http import View, documented, uuid

M = TypeVar("M", bound=BaseModel)


def id_is(name: str) -> Callable[[View], View]:
    """The path's parameter that is the view's `id`; what is none is told of by this name."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def named(**args: Any) -> Any:
            args["id"] = args.pop(name)
            try:
                return await view(**args)
            except Malformed as error:
                if "uuid" not in error.details:
                    raise
                raise Malformed(error.message, **{**error.details, "parameter": name}) from None

        note = documented(named)
        note.uuids += (name,)
        note.on = note.on.replace("{id}", f"{{{name}}}")
        return named

    return decorate


def path_id(text: str, parameter: str) -> str:
    """An id where the right is asked further in. Raises Malformed."""
    try:
        return uuid(text)
    except Malformed as error:
        raise Malformed(error.message, uuid=text[:50], parameter=parameter) from None


def asked(model: type[M]) -> M:
    """The query as this model. Raises Invalid."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid("the query is wrong", errors=found, where="query") from None


def parameters(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """What `asked` understands, for /openapi.json. None is nothing that a query can say."""
    found = model.model_json_schema(mode="validation")["properties"]
    return {name: _sayable(schema) for name, schema in found.items()}


def _sayable(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in ("title", "anyOf") and value is not None}
    if "anyOf" not in schema:
        return kept
    (told,) = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return {**told, **kept}
