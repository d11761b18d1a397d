"""Words that pages are made of in German: titles, and the choices of a list."""

from __future__ import annotations

import pytest
from quart.typing import TestClientProtocol as Client


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/alerts", "<title>Alarme"),
        ("/alerts/rules", "<title>Regeln"),
        ("/alerts/channels", "<title>Kanäle"),
        ("/alerts/channels/new?kind=webhook", "<title>Neuer Kanal"),
        ("/alerts/quiet", "<title>Ruhezeiten"),
        ("/automation", "<title>Automatisierung"),
        ("/automation/registries", "<title>Registry-Anmeldungen"),
        ("/automation/runs", "<title>Läufe"),
        ("/operations", ">Zeit überschritten</option>"),
        ("/hosts/00000000-0000-4000-8000-000000000000/metrics", "es gibt keinen solchen Host"),
    ],
    ids=lambda value: value.split("?")[0].strip("/").replace("/", "-")[:24] if value.startswith("/") else "",
)
async def test_a_page_is_german_for_who_reads_german(client: Client, path: str, words: str) -> None:
    answer = await client.get(path, headers={"Accept-Language": "de"})
    assert words in await answer.get_data(as_text=True)
