"""Signing in with `oidc-provider`, the certified provider from npm. Skipped where npm cannot fetch it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from quart.typing import TestClientProtocol as Client

CALLBACK = "http://localhost/api/v1/auth/oidc/callback"
PROVIDER = """
import * as http from 'node:http';
import { Provider } from 'oidc-provider';
const server = http.createServer();
server.listen(0, 'localhost', () => {
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'roci', client_secret: 'a-secret-of-some-length', redirect_uris: ['%s'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true, name: 'Ann' }),
    }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
"""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are needed")
    folder: Path = tmp_path_factory.mktemp("oidc-provider")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-save", "oidc-provider@9"]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot fetch oidc-provider here")
    (folder / "provider.mjs").write_text(PROVIDER % CALLBACK)
    process = subprocess.Popen(
        [node, "provider.mjs"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    try:
        yield next(line.strip() for line in process.stdout if line.startswith("http://"))
    finally:
        process.terminate()
        process.wait(10)


def signed_in(url: str) -> str:
    """Through its forms, as a person: name and password, then consent. What the browser is sent back to."""
    with httpx2.Client() as browser:
        answer = browser.get(url)
        for _ in range(12):
            here = str(answer.request.url)
            if answer.is_redirect:
                target = urljoin(here, answer.headers["location"])
                if target.startswith(CALLBACK):
                    back = urlsplit(target)
                    return f"{back.path}?{back.query}"
                answer = browser.get(target)
                continue
            action = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert action and prompt, answer.text
            form = {"prompt": prompt[1], "login": "ann", "password": "anything"}
            answer = browser.post(urljoin(here, action[1]), data=form)
    raise AssertionError("the provider did not send the browser back")


async def test_a_person_signs_in_with_a_certified_provider(client: Client, anonymous: Client, issuer: str) -> None:
    provider = {
        "id": "certified", "displayName": "Certified", "issuerUrl": issuer, "clientId": "roci",
        "clientSecret": "a-secret-of-some-length",
    }  # fmt: skip
    assert (await client.post("/api/v1/auth/oidc/providers", json=provider)).status_code == 200
    for _ in range(2):
        begun = await anonymous.get("/api/v1/auth/oidc/certified/authorize")
        answer = await anonymous.get(signed_in(begun.headers["Location"]))
        tokens = await answer.get_json()
        assert answer.status_code == 200, tokens
        headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
        person = await (await anonymous.get("/api/v1/auth/me", headers=headers)).get_json()
        assert (person["email"], person["displayName"]) == ("ann@example.org", "Ann")


async def test_a_wrong_client_secret_is_told_as_the_providers_refusal(
    client: Client, anonymous: Client, issuer: str
) -> None:
    provider = {"id": "certified", "displayName": "C", "issuerUrl": issuer, "clientId": "roci", "clientSecret": "wrong"}
    assert (await client.post("/api/v1/auth/oidc/providers", json=provider)).status_code == 200
    begun = await anonymous.get("/api/v1/auth/oidc/certified/authorize")
    answer = await anonymous.get(signed_in(begun.headers["Location"]))
    assert answer.status_code == 401 and "refused it: invalid_client" in (await answer.get_json())["error"]
