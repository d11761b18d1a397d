from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest

from roci import Candidate, Roci, Sensitive, Settings, StartupError
from roci_plugins.facts.presented import KEPT_STEPS, REMEMBERED, Codes, OneTimeCodes, Throttle, UsedCode, use_up

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B: 12345678901234567890
BASE = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


class Clock:
    """Both clocks in one: the wall's, and the one that only ticks."""

    def __init__(self) -> None:
        self.moment, self.ticks = BASE, 1000.0

    def advance(self, seconds: float) -> None:
        self.moment += datetime.timedelta(seconds=seconds)
        self.ticks += seconds


class Bench:
    """A running server, its one-time codes and clocks that stand still."""

    def __init__(self, roci: Roci, clock: Clock) -> None:
        self.roci, self.clock = roci, clock
        self.codes = OneTimeCodes(roci, lambda: clock.moment, lambda: clock.ticks)

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(SECRET).generate_otp(int(self.clock.moment.timestamp()) // 30 + steps)

    def wrong(self) -> str:
        right = {self.code(steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "000001", "000002", "000003") if code not in right)

    async def give(self, code: str | None, ip: str = "10.0.0.1", rehearsal: bool = False) -> str:
        candidate = Candidate("h1", ip, ip, ip, totp=code, rehearsal=rehearsal)
        facts = await self.codes.gather(candidate)
        assert set(facts) == {"totp"}
        return str(facts["totp"])


def settings(path: Path, secret: str | None = SECRET) -> Settings:
    return Settings(data_dir=str(path), totp_secret=None if secret is None else Sensitive(secret))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    roci = Roci(settings(tmp_path))
    async with roci.running():
        yield Bench(roci, Clock())


async def test_a_right_code_is_valid_once_and_a_wrong_one_never(bench: Bench) -> None:
    assert await bench.give(bench.wrong()) == "wrong"
    assert await bench.give(bench.code()) == "valid"
    assert await bench.give(bench.code()) == "used"
    assert await bench.give(bench.code(), ip="10.0.0.2") == "used"


@pytest.mark.parametrize(("steps", "state"), [(-2, "wrong"), (-1, "valid"), (0, "valid"), (1, "valid"), (2, "wrong")])
async def test_one_step_of_skew_is_allowed_either_way(bench: Bench, steps: int, state: str) -> None:
    assert await bench.give(bench.code(steps)) == state


async def test_each_step_has_its_own_code_and_its_own_use(bench: Bench) -> None:
    earlier = bench.code()
    assert await bench.give(earlier) == "valid"
    bench.clock.advance(30)
    assert await bench.give(earlier) == "used"
    assert await bench.give(bench.code()) == "valid"
    bench.clock.advance(30)
    assert await bench.give(earlier) == "wrong"


@pytest.mark.parametrize(
    ("code", "state"),
    [(None, "absent"), ("", "absent"), ("  ", "absent"), ("12345", "wrong"), ("abcdef", "wrong"), ("١٢٣٤٥٦", "wrong")],
)
async def test_what_is_no_code_is_absent_or_wrong(bench: Bench, code: str | None, state: str) -> None:
    assert await bench.give(code) == state


async def test_a_code_may_be_typed_with_a_space(bench: Bench) -> None:
    assert await bench.give(f"{bench.code()[:3]} {bench.code()[3:]}") == "valid"


async def test_of_two_that_give_one_code_at_once_one_gets_in(bench: Bench) -> None:
    states = await asyncio.gather(*(bench.give(bench.code(), ip=f"10.0.0.{number}") for number in range(8)))
    assert sorted(states) == ["used"] * 7 + ["valid"]


async def test_a_used_code_stays_used_after_a_restart(tmp_path: Path) -> None:
    clock, states = Clock(), []
    for _ in range(2):
        roci = Roci(settings(tmp_path))
        async with roci.running():
            bench = Bench(roci, clock)
            states.append(await bench.give(bench.code()))
    assert states == ["valid", "used"]


async def test_a_rehearsal_uses_nothing_up(bench: Bench) -> None:
    for _ in range(2):
        assert await bench.give(bench.code(), rehearsal=True) == "valid"
    for _ in range(9):
        assert await bench.give(bench.wrong(), rehearsal=True) == "wrong"
    assert await bench.give(bench.code()) == "valid"
    assert await bench.give(bench.code(), rehearsal=True) == "used"


async def test_after_five_wrong_codes_an_address_is_ignored_for_the_rest_of_the_minute(bench: Bench) -> None:
    for _ in range(5):
        assert await bench.give(bench.wrong()) == "wrong"
        bench.clock.advance(1)
    assert await bench.give(bench.wrong()) == "throttled"
    assert await bench.give(bench.code()) == "throttled"
    assert await bench.give(None) == "absent"
    assert await bench.give(bench.code(), ip="10.0.0.2") == "valid"
    bench.clock.advance(54.9)
    assert await bench.give(bench.code()) == "throttled"
    bench.clock.advance(0.2)
    assert await bench.give(bench.code()) == "valid"


async def test_a_throttled_address_does_not_use_a_code_up(bench: Bench) -> None:
    for _ in range(6):
        await bench.give(bench.wrong())
    assert await bench.give(bench.code()) == "throttled"
    assert await bench.give(bench.code(), ip="10.0.0.2") == "valid"


async def test_used_codes_do_not_count_as_wrong_ones(bench: Bench) -> None:
    await bench.give(bench.code())
    for _ in range(7):
        assert await bench.give(bench.code()) == "used"


def test_all_addresses_of_one_ipv6_network_are_throttled_as_one() -> None:
    throttle = Throttle(lambda: 1.0)
    for number in range(5):
        throttle.count(f"2001:db8::{number}")
    assert throttle.is_closed("2001:db8::ffff")
    assert not throttle.is_closed("2001:db8:0:1::1")


def test_what_is_remembered_of_wrong_codes_has_a_bound() -> None:
    throttle = Throttle(lambda: 1.0)
    for number in range(REMEMBERED + 100):
        throttle.count(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(throttle._wrong) == REMEMBERED


async def test_without_a_secret_codes_are_unconfigured(tmp_path: Path) -> None:
    for secret in (None, ""):
        bench = Bench(Roci(settings(tmp_path, secret)), Clock())
        assert await bench.give("123456") == "unconfigured"
        assert await bench.give(None) == "unconfigured"


@pytest.mark.parametrize("secret", ["not base32!", "18189", "=", "-", "A"])
def test_a_bad_secret_refuses_the_start_and_is_not_shown(tmp_path: Path, secret: str) -> None:
    with pytest.raises(StartupError, match="totp_secret") as caught:
        Roci(settings(tmp_path, secret))
    assert caught.value.message == "totp_secret: not base32 (the letters A to Z and the digits 2 to 7)"


@pytest.mark.parametrize(
    "secret", ["gezd gnbv gy3t qojq gezd gnbv gy3t qojq", SECRET.lower(), f"{SECRET[:16]}-{SECRET[16:]}"]
)
def test_a_secret_may_be_written_as_people_write_it(secret: str) -> None:
    moment = datetime.datetime.fromtimestamp(59, datetime.UTC)
    assert Codes(secret).step("287082", moment) == 1  # RFC 6238's 94287082, six digits of it


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert Codes(SECRET).step(code, datetime.datetime.fromtimestamp(seconds, datetime.UTC)) == seconds // 30


def test_a_short_secret_works_as_in_other_programs_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "roci.totp"):
        codes = Codes("JBSWY3DPEHPK3PXP")
    assert "only 80 bits" in caplog.text
    assert "JBSWY3DP" not in caplog.text
    assert codes.step("282760", datetime.datetime.fromtimestamp(0, datetime.UTC)) == 0  # by RFC 4226, without padding


async def test_old_used_codes_are_forgotten_after_a_day(bench: Bench) -> None:
    def steps() -> list[int]:
        return [used.step for used in UsedCode.select().order_by(UsedCode.step)]

    for step in (1, 2, KEPT_STEPS + 2):
        assert await bench.roci.write(use_up, step)
    assert await bench.roci.read(steps) == [2, KEPT_STEPS + 2]
    assert not await bench.roci.write(use_up, 2)
