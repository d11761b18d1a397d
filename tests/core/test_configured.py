"""Every setting with its source and its meaning, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from roci import Roci, Settings, core
from roci_plugins.core import configured
from roci_plugins.core.configured import Setting, plain
from roci_plugins.core.settings import Origin


def found(settings: Settings) -> dict[str, Setting]:
    return {each.path: each for section in configured.all_(Roci(settings)) for each in section.settings}


def test_the_environment_wins_over_the_file_and_both_are_named(tmp_path: Path) -> None:
    file = tmp_path / "roci.yaml"
    file.write_text("log_level: debug\nauth: enabled\nlinks:\n  grace: 61\n  stale_after: 46\n")
    settings = core("settings").load(file, {"ROCI_LOG_LEVEL": "error", "ROCI_LINKS__GRACE": "62"})
    known = found(settings)
    assert (known["log_level"].value, known["log_level"].origin) == ("error", Origin("environment", "ROCI_LOG_LEVEL"))
    assert (known["links.grace"].value, known["links.grace"].is_locked) == ("62", True)
    assert (known["links.stale_after"].value, known["links.stale_after"].is_locked) == ("46", False)
    assert known["auth"].origin == Origin("file", str(file)) and known["bind"].origin is None
    assert configured.file(settings) == str(file)
    assert configured.file(Settings()) is None


def test_a_secret_is_only_said_to_be_set_and_a_file_of_its_own_counts_as_given(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    environ = {"ROCI_TOTP_SECRET_FILE": str(tmp_path / "secret"), "ROCI_AGENT__TOTP": "123456"}
    known = found(core("settings").load(None, environ))
    assert (known["totp_secret"].value, known["admin_password"].value) == ("set", "not set")
    assert known["totp_secret"].is_locked and known["agent.totp"].value == "set"
    assert known["sign_in.passwords"].value == "true", "a switch is no secret"


def test_the_name_in_the_environment_is_not_part_of_the_meaning() -> None:
    told = configured.meanings("# What it is\n# for. ROCI_A__B\n#a:\n\n# The `b` of it.\n# ROCI_A__B_C\n#  b_c: 1\n")
    assert told == {"a": "What it is for.", "a.b_c": "The `b` of it."}


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), (["a", 1], "[a, 1]"), (2.0, "2"), (0.5, "0.5"), ("x", "x")]
)
def test_values_are_shown_as_the_file_has_them(value: object, text: str) -> None:
    assert plain(value) == text
