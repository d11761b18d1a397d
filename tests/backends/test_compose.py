from __future__ import annotations

import pytest

from roci import Invalid, Spec, Step
from roci_plugins.backends.compose import Compose

TEXT = "services:\n  web:\n    image: nginx\n    env_file: web.env\n"
SPEC = Spec("My.App", TEXT)
WHICH = {"project": "my_app", "app": "My.App"}
CLAIM = Step("project.claim", WHICH)


def test_a_deploy_writes_the_file_and_brings_it_up() -> None:
    assert Compose().plan("deploy", SPEC) == [
        CLAIM,
        Step("compose.write", {**WHICH, "text": TEXT, "files": ["web.env"]}),
        Step("compose.up", WHICH),
    ]


def test_stop_and_start_are_one_step_after_the_claim() -> None:
    assert Compose().plan("stop", SPEC) == [CLAIM, Step("compose.stop", WHICH)]
    assert Compose().plan("start", SPEC) == [CLAIM, Step("compose.start", WHICH)]


def test_a_delete_takes_it_down_before_it_forgets_the_file() -> None:
    assert Compose().plan("delete", SPEC) == [CLAIM, Step("compose.down", WHICH), Step("compose.forget", WHICH)]


def test_what_runs_can_be_stopped_and_deleted_whatever_the_file_says_now() -> None:
    for action in ("stop", "start", "delete"):
        assert Compose().plan(action, Spec("x", "no compose file"))


def test_a_broken_file_is_refused_and_never_planned() -> None:
    for attempt in (Compose().validate, lambda spec: Compose().plan("deploy", spec)):
        with pytest.raises(Invalid, match="compose_yaml line 1"):
            attempt(Spec("x", "nothing"))
