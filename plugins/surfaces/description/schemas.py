"""The schemas of a surface's models, each once, under names that no other surface uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

Wanted = tuple[Any, JsonSchemaMode]  # a model, and whether it is read or written
PLACE = "#/components/schemas/"


class Schemas:
    """References to the schemas of what was wanted; small ones stand where they are used."""

    def __init__(self, prefix: str, wanted: Iterable[Wanted]) -> None:
        models: list[Any] = []
        asked: list[tuple[tuple[int, str], JsonSchemaMode, TypeAdapter[Any]]] = []
        self._places: dict[tuple[int, str], tuple[int, str]] = {}
        for model, mode in wanted:
            if (id(model), mode) not in self._places:
                models.append(model)  # keeps the id its own
                self._places[id(model), mode] = key = (len(models), mode)
                asked.append((key, mode, TypeAdapter(model)))
        found, definitions = TypeAdapter.json_schemas(asked, ref_template=f"{PLACE}{prefix}{{model}}")
        self._models, self._found = models, found
        self.all_: dict[str, Any] = {f"{prefix}{name}": each for name, each in definitions.get("$defs", {}).items()}

    def of(self, model: Any, mode: JsonSchemaMode = "serialization") -> dict[str, Any]:
        place = self._places[id(model), mode]
        return dict(self._found[place, mode])
