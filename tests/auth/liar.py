"""An identity provider that says what it is told to, over real HTTP: for every lie a client must not believe."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwk, jws


def rsa(kid: str = "one") -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, parameters={"kid": kid})


FIRST, SECOND = rsa("one"), rsa("two")  # making one takes a while


def _packed(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Liar:
    def __init__(self, port: int) -> None:
        self.issuer = f"http://localhost:{port}"
        self.asked: list[tuple[str, dict[str, str], str]] = []  # path, form, Authorization
        self.keys = [FIRST]
        self.signs_with: Any = FIRST
        self.header: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.token: dict[str, Any] | None = None  # instead of the tokens
        self.status: dict[str, int] = {}
        self.body: dict[str, bytes] = {}
        self.nonce = ""

    def id_token(self) -> str:
        moment = int(time.time())
        said = {
            "iss": self.issuer, "aud": "roci", "sub": "ann", "iat": moment, "exp": moment + 300, "nonce": self.nonce,
            "email": "ann@example.org", "email_verified": True, "name": "Ann",
        }  # fmt: skip
        said = {name: value for name, value in (said | self.claims).items() if value is not None}
        header = {"alg": "RS256", "kid": self.signs_with.kid} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        if header["alg"] in ("none", "HS256"):
            text = f"{_packed(json.dumps(header).encode())}.{_packed(json.dumps(said).encode())}"
            forged = hmac.digest(FIRST.as_pem(private=False), text.encode(), "sha256")
            return f"{text}.{_packed(forged) if header['alg'] == 'HS256' else ''}"
        return jws.serialize_compact(header, json.dumps(said), self.signs_with, [header["alg"]])

    def answer(self, path: str, form: dict[str, str], authorization: str) -> Any:
        self.asked.append((path, form, authorization))
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
            } | self.document
        if path == "/jwks":
            return {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/userinfo":
            return self.userinfo
        return self.token or {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()}

    def times(self, path: str) -> int:
        return sum(asked[0] == path for asked in self.asked)


@contextmanager
def lying() -> Iterator[Liar]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            plain = {name: values[0] for name, values in form.items()}
            answer = liar.answer(self.path, plain, self.headers.get("Authorization", ""))
            body = liar.body.get(self.path, json.dumps(answer).encode())
            self.send_response(liar.status.get(self.path, 200))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    liar = Liar(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
