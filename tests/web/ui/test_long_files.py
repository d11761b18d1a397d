"""Files of thousands of lines are shown in part, and how much is left out is told."""

from __future__ import annotations

from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import applications

from .reading import send, text

NEW = "/applications/new"
SERVICES = "services:\n" + "".join(f"  s{number}:\n    image: nginx\n" for number in range(1203))
VARIABLES = "services:\n  web:\n    image: nginx\n    environment:\n"
VARIABLES += "".join(f"      N{number}: ${{V{number}}}\n" for number in range(1203))


async def test_of_many_services_the_first_are_shown(client: Client) -> None:
    page = await (await send(client, NEW, f"{NEW}/check", compose=SERVICES)).get_data(as_text=True)
    assert page.count("<strong>s") == 200 and "1003 more services" in page
    short = SERVICES[: SERVICES.index("  s201:")]  # 0 to 200
    page = await (await send(client, NEW, f"{NEW}/check", compose=short)).get_data(as_text=True)
    assert page.count("<strong>s") == 200 and "1 more service<" in page


async def test_of_many_variables_the_first_are_shown(client: Client, roci: Roci) -> None:
    page = await (await send(client, NEW, f"{NEW}/check", compose=VARIABLES)).get_data(as_text=True)
    assert page.count("<code>V") == 200 and "1003 more variables" in page
    app = await roci.write(lambda: applications.add("wiki", VARIABLES))
    page = await text(client, f"/applications/{app.id}/environment")
    assert page.count("<td><code>V") == 200 and "1003 more variables" in page
    assert page.count("<td><code>N") == 200 and "1003 more values" in page


async def test_of_a_long_difference_the_first_lines_are_shown(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("wiki", SERVICES))
    await roci.write(lambda: applications.change(app.id, compose=SERVICES.replace("nginx", "caddy")))
    page = await text(client, f"/applications/{app.id}/edit?revision=1")
    assert page.count('<td class="sign">') == 2000 and " more lines are not shown" in page
