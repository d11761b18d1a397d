"""What a registry is asked about the images that run here, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import docker.errors
import pytest
import requests

from roci_plugins.agent.commands.updates import compared


class Engine:
    """Knows a few images, and asks registries that know some of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def inspect_image(self, image: str) -> dict[str, Any]:
        if image == "gone:1":
            raise docker.errors.ImageNotFound("404", explanation="No such image: gone:1")
        digests = {"built:1": None, "old:1": ["old@sha256:aa"], "two:1": ["two@sha256:aa", "mirror/two@sha256:bb"]}
        return {"RepoDigests": digests.get(image, [f"{image}@sha256:bb"])}

    def inspect_distribution(self, image: str) -> dict[str, Any]:
        self.asked.append(image)
        if image == "private:1":
            raise docker.errors.APIError("401", explanation="pull access denied")
        if image == "slow:1":
            raise requests.ReadTimeout
        return {"Descriptor": {"digest": "sha256:bb"}}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("old:1", {"local": ["sha256:aa"], "remote": "sha256:bb"}),
        ("new:1", {"local": ["sha256:bb"], "remote": "sha256:bb"}),
        ("two:1", {"local": ["sha256:aa", "sha256:bb"], "remote": "sha256:bb"}),
        ("built:1", {"local": [], "remote": None}),
        ("gone:1", {"error": "No such image: gone:1"}),
        ("private:1", {"error": "pull access denied"}),
        ("slow:1", {"error": "the engine did not answer: ReadTimeout"}),
    ],
)
def test_an_image_is_compared_with_what_its_registry_has(image: str, said: dict[str, Any]) -> None:
    assert list(compared(Engine(), [image])) == [(image, said)]


def test_one_image_that_cannot_be_asked_about_does_not_keep_the_others_from_it() -> None:
    images = ["private:1", "gone:1", "slow:1", "old:1"]
    assert [image for image, _ in compared(Engine(), images)] == images


def test_no_registry_hears_the_name_of_what_was_built_here() -> None:
    engine = Engine()
    list(compared(engine, ["built:1", "old:1"]))
    assert engine.asked == ["old:1"]
