"""Settings: every mistake is named with its path, and the environment wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from roci import Roci, Settings, StartupError, hookimpl
from roci_plugins.core.settings import is_loopback, load, split_address


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def refusal(path: Path | None = None, **environ: str) -> str:
    with pytest.raises(StartupError) as refused:
        load(path, environ)
    return refused.value.message


def test_nothing_at_all_gives_the_defaults():
    settings = load(None, {})
    assert (settings.bind, settings.auth, settings.local_agent) == (["127.0.0.1:8080"], "enabled", True)


def test_an_empty_file_changes_nothing(file: Any):
    assert load(file("# nothing\n"), {}) == load(None, {})


def test_the_environment_wins_over_the_file(file: Any):
    path = file("log_level: debug\nadmin_email: a@example.org\n")
    settings = load(path, {"ROCI_LOG_LEVEL": "error"})
    assert (settings.log_level, settings.admin_email) == ("error", "a@example.org")


def test_the_environment_can_name_the_file(file: Any):
    assert load(None, {"ROCI_CONFIG": str(file("log_level: debug"))}).log_level == "debug"


def test_an_unknown_key_is_named_with_the_one_that_was_meant(file: Any):
    assert refusal(file("log_levle: debug")) == (
        "log_levle is not a setting (plugin missing or misspelt?); did you mean log_level?"
    )
    assert "data_dri is not a setting" in refusal(ROCI_DATA_DRI="/tmp")


def test_lists_are_comma_separated_in_the_environment():
    settings = load(None, {"ROCI_BIND": "127.0.0.1:1, [::1]:2", "ROCI_TRUSTED_PROXIES": "10.0.0.0/8,192.0.2.1"})
    assert settings.bind == ["127.0.0.1:1", "[::1]:2"]
    assert settings.trusted_proxies == ["10.0.0.0/8", "192.0.2.1"]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_switches_read_as_words_or_digits(text: str, value: bool):
    assert load(None, {"ROCI_LOCAL_AGENT": text}).local_agent is value


def test_a_secret_can_lie_in_a_file_of_its_own(tmp_path: Path):
    (tmp_path / "password").write_text("correct horse\n")
    settings = load(None, {"ROCI_ADMIN_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.admin_password == "correct horse"
    assert "horse" not in repr(settings)


def test_a_missing_secret_file_is_named():
    assert "/nowhere/x" in refusal(ROCI_TOTP_SECRET_FILE="/nowhere/x")


def test_the_file_can_point_into_the_environment(file: Any):
    path = file("admin_password: ${SECRET}\n")
    assert load(path, {"SECRET": "from outside"}).admin_password == "from outside"
    assert refusal(path) == "the configuration names ${SECRET}, which the environment does not have"


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [unclosed"])
def test_a_file_that_is_no_mapping_is_refused(file: Any, text: str):
    assert refusal(file(text))


def test_a_wrong_value_is_named():
    assert "log_level" in refusal(ROCI_LOG_LEVEL="loud")


@pytest.mark.parametrize("address", ["8080", "localhost", ":8080", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http"])
def test_an_address_without_host_or_port_is_refused(address: str):
    assert refusal(ROCI_BIND=address).startswith(f"bind: {address!r} is not an address and a port")


def test_ipv6_addresses_stand_in_brackets():
    assert split_address("[::1]:80") == ("::1", 80)


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "192.168.1.4:8080", "[::]:8080", "example.org:80"])
def test_sign_in_cannot_be_switched_off_beyond_this_machine(address: str):
    assert "bind must be a loopback address" in refusal(ROCI_AUTH="disabled", ROCI_BIND=f"127.0.0.1:1,{address}")


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:1", "[::1]:1", "127.8.8.8:1"])
def test_sign_in_can_be_switched_off_on_this_machine(address: str):
    assert load(None, {"ROCI_AUTH": "disabled", "ROCI_BIND": address}).auth == "disabled"


def test_a_trusted_proxy_is_an_address_or_a_network():
    assert refusal(ROCI_TRUSTED_PROXIES="proxy.lan").startswith("trusted_proxies: ")


def test_loopback_is_told_from_names_that_look_like_it():
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost")
    assert not any(map(is_loopback, ["127.0.0.1.example.org", "localhost.example.org", "", "0.0.0.0", "10.0.0.1"]))


# --- sections ----------------------------------------------------------------


class JarSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    section: ClassVar[str] = "jars"
    size: int = 1


class Jars:
    @hookimpl
    def register_settings(self) -> type[msgspec.Struct]:
        return JarSettings


def made(tmp_path: Path, **environ: str) -> Roci:
    settings: Settings = load(None, {"ROCI_DATA_DIR": str(tmp_path), **environ})
    return Roci(settings, [Jars()])


def test_a_plugin_has_a_section_of_its_own(tmp_path: Path):
    assert made(tmp_path, ROCI_JARS__SIZE="3").section(JarSettings).size == 3
    assert made(tmp_path).section(JarSettings).size == 1


def test_an_unknown_key_of_a_section_is_named_with_its_path(tmp_path: Path):
    with pytest.raises(StartupError, match=r"jars\.sise is not a setting .* did you mean jars\.size\?"):
        made(tmp_path, ROCI_JARS__SISE="3")


def test_a_wrong_value_in_a_section_is_named_with_its_path(tmp_path: Path):
    with pytest.raises(StartupError, match=r"jars\.size"):
        made(tmp_path, ROCI_JARS__SIZE="many")


def test_a_section_nobody_owns_is_refused(tmp_path: Path):
    with pytest.raises(StartupError, match=r"jarz is not a section of the settings; did you mean jars\?"):
        made(tmp_path, ROCI_JARZ__SIZE="3")
