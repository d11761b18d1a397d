from __future__ import annotations

import pytest

from roci_plugins.agent.commands.hints import hint


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("Error response from daemon: pull access denied for x, repository does not exist", "cannot be pulled"),
        ("manifest for nginx:nope not found: manifest unknown", "cannot be pulled"),
        ("Error response from daemon: No such image: x:1", "cannot be pulled"),
        ("Bind for 0.0.0.0:80 failed: port is already allocated", "a port is taken"),
        ("listen tcp4 0.0.0.0:80: bind: address already in use", "a port is taken"),
        ("write /var/lib/docker/tmp: no space left on device", "the disk is full"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "does not answer"),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "may not use Docker",
        ),
        ("dial tcp: lookup registry-1.docker.io: no such host", "cannot be reached"),
    ],
)
def test_a_known_ending_says_what_to_do_next(output: str, advice: str) -> None:
    assert advice in (hint(output) or "")


def test_an_unknown_ending_is_left_to_speak_for_itself() -> None:
    assert hint("it broke") is None
