from __future__ import annotations

import pytest

from roci import StepFailed
from roci_plugins.agent.commands.pulling import condensed


def test_a_pull_tells_of_each_layer_once_and_of_no_percentages() -> None:
    progress = [
        {"status": "Pulling from library/nginx", "id": "1.27"},
        {"status": "Pulling fs layer", "id": "a"},
        *({"status": "Downloading", "id": "a", "progressDetail": {"current": n}} for n in range(100)),
        {"status": "Pull complete", "id": "a"},
        {"status": "Pull complete", "id": "a"},
        {"status": "Status: Downloaded newer image for nginx:1.27"},
    ]
    assert list(condensed(progress)) == [
        "1.27: Pulling from library/nginx\n",
        "a: Pulling fs layer\n",
        "a: Pull complete\n",
        "Status: Downloaded newer image for nginx:1.27\n",
    ]


def test_a_pull_that_breaks_off_fails_with_the_engines_words() -> None:
    with pytest.raises(StepFailed, match="no space left on device"):
        list(condensed([{"status": "Pulling fs layer", "id": "a"}, {"error": "no space left on device"}]))
