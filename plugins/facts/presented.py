"""What a candidate brought along: a one-time code for the server's secret (RFC 6238: SHA-1, 6 digits, 30 s).

A code is accepted once for each 30 s step, across restarts and for two at once: the step is a key in a table.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import peewee

from roci import Candidate, FactSource, Roci, StartupError, hookimpl, now

log = logging.getLogger("roci.totp")

STEP_SECONDS = 30
KEPT_STEPS = 2880  # a day: a clock that is set back does not make used codes good again
WRONG_PER_MINUTE = 5
REMEMBERED = 4096  # addresses that gave wrong codes lately

State = Literal["valid", "wrong", "used", "absent", "unconfigured", "throttled"]


class UsedCode(peewee.Model):
    step = peewee.IntegerField(primary_key=True)  # which 30 s since 1970
    used_at = peewee.TextField()  # ISO 8601, UTC; for whoever reads the table

    class Meta:
        table_name = "used_code"


def is_used(step: int) -> bool:
    return bool(UsedCode.select().where(UsedCode.step == step).exists())


def use_up(step: int) -> bool:
    """Take a step for good. False: somebody has it already."""
    UsedCode.delete().where(UsedCode.step < step - KEPT_STEPS).execute()
    try:
        UsedCode.insert(step=step, used_at=now().isoformat()).execute()
    except peewee.IntegrityError:
        return False
    return True


class Codes:
    """Which step a code belongs to. One step of skew is allowed either way."""

    def __init__(self, secret: str) -> None:
        """`secret` is base32; spaces, dashes and lower case are fine. Raises StartupError."""
        import pyotp

        self._totp = pyotp.TOTP(_strong(_decode(secret)), interval=STEP_SECONDS)

    def step(self, code: str, moment: datetime.datetime) -> int | None:
        """The step whose code this is, or None. All three are compared, and each in constant time."""
        import pyotp

        if not (len(code) == 6 and code.isascii() and code.isdecimal()):
            return None
        current = int(moment.timestamp()) // STEP_SECONDS
        steps = [step for step in (current, current - 1, current + 1) if step >= 0]
        right = [step for step in steps if pyotp.utils.strings_equal(code, self._totp.generate_otp(step))]
        return right[0] if right else None


def _decode(secret: str) -> bytes:
    text = secret.upper().replace(" ", "").replace("-", "").rstrip("=")
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise StartupError("totp_secret: not base32 (the letters A to Z and the digits 2 to 7)")
    return key


def _strong(key: bytes) -> str:
    """The key as pyotp takes it: at least 14 bytes. Zeros at the end of a key leave its codes as they are."""
    if len(key) < 16:
        log.warning("totp_secret has only %d bits; 160 are usual, 128 the least that RFC 4226 allows", len(key) * 8)
    return base64.b32encode(key.ljust(20, b"\0")).decode()


class Throttle:
    """Counts wrong codes for an address: after five, that address is ignored for the rest of its minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def is_closed(self, ip: str) -> bool:
        since, count = self._wrong.get(_neighbourhood(ip), (0.0, 0))
        return count >= WRONG_PER_MINUTE and self.clock() < since + 60

    def count(self, ip: str) -> None:
        """Note one wrong code."""
        key = _neighbourhood(ip)
        since, count = self._wrong.get(key, (self.clock(), 0))
        if self.clock() >= since + 60:
            since, count = self.clock(), 0
            self._wrong.pop(key)
        self._wrong[key] = (since, count + 1)
        while len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)


def _neighbourhood(ip: str) -> str:
    """An IPv6 machine has a whole /64 of addresses to guess from, so those count as one."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    return ip if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


class OneTimeCodes:
    """Fact `totp`: what the candidate's code is worth. A right code is used up by asking, unless it is a rehearsal."""

    name = "totp"

    def __init__(
        self,
        roci: Roci,
        clock: Callable[[], datetime.datetime] = now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` tells which codes are right; `ticks`, which never jumps, measures the minute of wrong ones."""
        secret = roci.settings.totp_secret
        self._roci, self._clock, self._throttle = roci, clock, Throttle(ticks)
        self._codes = Codes(secret) if secret else None

    async def gather(self, candidate: Candidate) -> Mapping[str, Any]:
        return {"totp": await self._state(candidate)}

    async def _state(self, candidate: Candidate) -> State:
        code = (candidate.totp or "").replace(" ", "")
        if self._codes is None:
            return "unconfigured"
        if not code:
            return "absent"
        if self._throttle.is_closed(candidate.effective_ip):
            return "throttled"
        step = self._codes.step(code, self._clock())
        if step is None:
            if not candidate.rehearsal:
                self._throttle.count(candidate.effective_ip)
            return "wrong"
        if candidate.rehearsal:
            return "used" if await self._roci.read(is_used, step) else "valid"
        return "valid" if await self._roci.write(use_up, step) else "used"


@hookimpl
def register_models() -> Iterable[type[peewee.Model]]:
    return [UsedCode]


@hookimpl
def register_facts(roci: Roci) -> Iterable[FactSource]:
    return [OneTimeCodes(roci)]
