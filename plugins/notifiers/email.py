"""Notices by e-mail, over SMTP: plain text, and the same as simple HTML. What fired and its end are one thread."""

from __future__ import annotations

import contextlib
import html
import logging
import re
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, ClassVar, Literal

import msgspec

from roci import Roci, Sensitive, Unavailable, hookimpl

from . import Notice, Notifier, in_thread, one_line

log = logging.getLogger("roci.notices")
PATIENCE = 8.0  # seconds of silence
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
HERE = ("localhost", "127.0.0.1", "::1", "[::1]")
MOST = 50  # recipients
COLOURS = {"critical": "#b42318", "warning": "#b54708"}


class Email(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`security`: starttls (port 587), tls from the first byte (465), or none, and then no password."""

    destination: ClassVar[tuple[str, ...]] = ("host", "port", "security", "username")
    host: str
    sender: str
    to: list[str]
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: Sensitive | None = None

    def __post_init__(self) -> None:
        if not HOST.fullmatch(self.host):
            raise ValueError("host: the name of a mail server is needed")
        if not 0 < self.port < 65536:
            raise ValueError("port: from 1 to 65535")
        if not ADDRESS.fullmatch(self.sender):
            raise ValueError("sender: an address such as roci@example.org is needed")
        if not 0 < len(self.to) <= MOST or not all(map(ADDRESS.fullmatch, self.to)):
            raise ValueError(f"to: 1 to {MOST} addresses such as me@example.org are needed")
        if (self.username is None) != (self.password is None):
            raise ValueError("password: it takes both a username and a password, or neither")
        if not f"{self.username}{self.password}".isascii():
            raise ValueError("password: mail servers take username and password in ASCII only")
        if self.security == "none" and self.password is not None and self.host not in HERE:
            raise ValueError("security: without encryption a password only goes to localhost")


def compose(settings: Email, notice: Notice) -> EmailMessage:
    """Nothing in a notice can become a header: each is one line."""
    message = EmailMessage(SMTP)
    domain = settings.sender.rpartition("@")[2]
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Subject"] = one_line(f"[{notice.severity}] {notice.title}")
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{notice.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if notice.alert_id:
        message["References"] = f"<{one_line(notice.alert_id)}@{domain}>"
    message.set_content(_text(notice))
    message.add_alternative(_page(notice), subtype="html")
    return message


def _text(notice: Notice) -> str:
    facts = [f"{name}: {value}" for name, value in _facts(notice)]
    return "\n".join([notice.title, "", notice.body, "", *facts, ""])


def _facts(notice: Notice) -> list[tuple[str, str]]:
    facts = (
        ("Host", notice.hostname),
        ("About", notice.subject),
        ("When", notice.at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("See", notice.url),
    )
    return [(name, value) for name, value in facts if value]


def _page(notice: Notice) -> str:
    facts = "".join(f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>" for name, value in _facts(notice))
    body = html.escape(notice.body).replace("\n", "<br>")
    colour = COLOURS.get(notice.severity, "#175cd3") if notice.kind != "alert.resolved" else "#067647"
    return f'<h3 style="color:{colour}">{html.escape(notice.title)}</h3><p>{body}</p><table>{facts}</table>'


class EmailNotifier:
    name = "email"
    settings: type[msgspec.Struct] = Email

    async def send(self, settings: Any, notice: Notice) -> None:
        message, line = compose(settings, notice), Line()
        await in_thread(lambda: deliver(settings, message, line), line.cut)


class Line:
    """One connection, which another thread can cut whatever waits on it: a server that drips is never silent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cut = False
        self._held: socket.socket | None = None  # the same connection, whatever becomes of the socket in use

    def hold(self, used: socket.socket) -> None:
        with self._lock:
            self._held = used.dup()
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            if self._held is not None:
                with contextlib.suppress(OSError):  # the server was quicker
                    self._held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None


class Server(smtplib.SMTP):
    """A mail server at the other end of a line; with `security` tls it speaks that from the first byte."""

    def __init__(self, settings: Email, line: Line) -> None:
        self._settings, self._line = settings, line
        super().__init__(settings.host, settings.port, timeout=PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        used = socket.create_connection((host, port), timeout)
        try:
            self._line.hold(used)
            if self._settings.security == "tls":
                return ssl.create_default_context().wrap_socket(used, server_hostname=host)
            return used
        except BaseException:
            used.close()
            raise


def deliver(settings: Email, message: EmailMessage, line: Line) -> None:
    """Blocks. Raises Unavailable. Some recipients refused: the others have it, so it is not sent again."""
    where = f"{settings.host}:{settings.port}"
    try:
        with contextlib.closing(line), _connected(settings, line) as server:
            if settings.username is not None and settings.password is not None:
                server.login(settings.username, str(settings.password))
            refused = server.send_message(message)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise Unavailable(f"{where} answered {error.smtp_code}: {one_line(said)}") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise Unavailable(f"{where} refused {', '.join(error.recipients)}") from None
    except ssl.SSLError as error:
        raise Unavailable(f"{where} is not to be trusted: {one_line(error.reason or str(error))}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"{where} cannot be reached: {one_line(str(error)) or type(error).__name__}") from None
    if refused:
        log.warning("%s refused %d of %d recipients of a notice", where, len(refused), len(settings.to))


def _connected(settings: Email, line: Line) -> smtplib.SMTP:
    server = Server(settings, line)
    if settings.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


@hookimpl
def register_notifiers(roci: Roci) -> list[Notifier]:
    return [EmailNotifier()]
