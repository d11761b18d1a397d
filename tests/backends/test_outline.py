"""What a Compose file holds and what looks wrong in it, told without refusing anything."""

from __future__ import annotations

import pytest

from roci_plugins.backends import outline, yamltext
from roci_plugins.backends.interpolation import Mention, mentioned
from roci_plugins.backends.outline import Plain, Service, Variable

TEXT = """\
services:
  web:
    image: nginx:1
    restart: always
    ports:
      - "8080:80"
      - target: 443
        published: 8443
    volumes:
      - data:/data
      - type: bind
        source: ./x
        target: /x
    environment:
      A: one
      B:
    networks: [front]
    depends_on:
      db: {condition: service_healthy}
  db:
    image: postgres
    environment: [C=two, D]
volumes: {data: }
networks: {front: }
"""


def read(text: str) -> yamltext.Document:
    return yamltext.parse(text)


def doubts(text: str) -> list[tuple[int, str]]:
    return [(doubt.line, doubt.reason) for doubt in outline.doubts(read(text))]


def test_services_are_told_with_what_they_publish_keep_and_ask_for() -> None:
    found = outline.of(read(TEXT))
    assert found.services[0] == Service(
        "web",
        2,
        "nginx:1",
        ("8080:80", "8443:443"),
        ("data:/data", "./x:/x"),
        ("A", "B"),
        ("front",),
        ("db",),
        "always",
    )
    assert found.services[1] == Service("db", 20, "postgres", environment=("C", "D"))
    assert (found.volumes, found.networks) == (("data",), ("front",))


def test_whatever_stands_where_it_does_not_belong_is_told_as_far_as_it_can_be() -> None:
    for text in ("x", "services: [a]", "services: {a: 1, b: {ports: 80, volumes: {}, environment: 7}}", "- 1", ""):
        document = read(text)
        outline.of(document)
        outline.doubts(document)
        assert outline.variables(document) == [] == list(outline.published(document)) == outline.plain(document)


def test_an_unknown_key_is_told_with_the_one_that_was_probably_meant() -> None:
    service = "    image: x\n    enviroment: {}\n    x-mine: 1\n    healthcheck:\n      tets: y\n"
    text = f"services:\n  web:\n{service}volume: {{}}\n"
    assert doubts(text) == [
        (4, "Compose does not know `enviroment` here: is `environment` meant?"),
        (7, "Compose does not know `tets` here: is `test` meant?"),
        (8, "Compose does not know `volume` here: is `volumes` meant?"),
    ]


def test_a_volume_or_network_that_the_top_level_lacks_is_told() -> None:
    service = "    image: x\n    volumes: [data:/data, ./a:/a, $V:/v, /b]\n    networks: [front, default]\n"
    text = f"services:\n  web:\n{service}"
    assert doubts(text) == [
        (4, "`volumes` at the top level has no `data`: Compose refuses such a file"),
        (5, "`networks` at the top level has no `front`: Compose refuses such a file"),
    ]
    assert doubts("include: [other.yaml]\n" + text) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("ports: 8080", "`ports` must be a list", id="ports"),
        pytest.param("environment: FOO", "`environment` must be a list or a mapping", id="environment"),
        pytest.param("volumes: /data", "`volumes` must be a list", id="volumes"),
        pytest.param("image: [a]", "`image` must be a single value", id="image"),
        pytest.param("ports: ['99999:80']", "'99999' is no port between 1 and 65535", id="port too high"),
        pytest.param("ports: ['::1:80:70000/udp']", "'70000' is no port between 1 and 65535", id="port of IPv6"),
        pytest.param("ports: [{target: 99999}]", "'99999' is no port between 1 and 65535", id="long port too high"),
        pytest.param(
            "ports: [web]", "'web' is no port such as 80, 8080:80 or 127.0.0.1:8080:80/udp", id="port that is a word"
        ),
        pytest.param(
            "restart: sometimes",
            "'sometimes' is none of no, always, unless-stopped, on-failure or on-failure:3",
            id="restart",
        ),
    ],
)
def test_a_value_that_compose_refuses_is_told_with_its_line(line: str, reason: str) -> None:
    assert doubts(f"services:\n  web:\n    x-a: x\n    {line}\n") == [(4, reason)]


def test_values_that_compose_takes_or_that_variables_decide_are_not_told() -> None:
    taken = "ports: ['0:80', 80, '8000-8001:80-81', '$P:80', '::1:53:53/udp', {target: 80, app_protocol: http}]"
    for line in (taken, "restart: no", "restart: on-failure:3", "restart: ${R}", "environment:", "build: .", "user: 7"):
        assert doubts(f"services:\n  web:\n    x-a: x\n    {line}\n") == []


def test_a_service_that_is_only_a_word_is_told() -> None:
    assert doubts("services:\n  web: nginx\n") == [(2, "the service `web` must be a mapping")]


def test_a_version_means_nothing() -> None:
    assert doubts('version: "3.8"\nservices: {}\n') == [(1, "`version` means nothing any more: leave it out")]


def test_variables_are_told_once_with_all_their_lines() -> None:
    text = (
        "services:\n  web:\n    image: x:${TAG:-1}\n    command: $$no ${TAG-2} ${A:-${B}}\n"
        "    environment:\n      PASSED:\n      P: ${P:?set it}\n      Q: $Q\n"
    )
    assert outline.variables(read(text)) == [
        Variable("A", (4,), "${B}"),
        Variable("B", (4,)),
        Variable("P", (7,), None, True),
        Variable("PASSED", (6,)),
        Variable("Q", (8,)),
        Variable("TAG", (3, 4), "1"),
    ]


def test_a_default_counts_only_where_every_place_has_one() -> None:
    (found,) = outline.variables(read("services: {a: {image: '${A:-x}', user: '$A'}}"))
    assert found.default is None


def test_mentions_are_found_in_texts_that_cannot_be_filled_in() -> None:
    assert list(mentioned("${A:+set} $ ${B ${C:-x")) == [Mention("A", ""), Mention("B"), Mention("C", "x")]


def test_ports_that_stand_as_numbers_are_told_one_by_one() -> None:
    text = 'services: {a: {ports: ["8000-8001:80-81", "$P:80", "81", "127.0.0.1:53:53/udp", 7.5, {target: 1, x: 2}]}}'
    found = [(each.port.ip, each.port.host, each.port.protocol) for each in outline.published(read(text))]
    assert found == [("", "8000", "tcp"), ("", "8001", "tcp"), ("127.0.0.1", "53", "udp")]


def test_what_an_environment_says_by_itself_is_told() -> None:
    assert outline.plain(read(TEXT)) == [
        Plain("web", "A", "one", 15),
        Plain("web", "B", None, 16),
        Plain("db", "C", "two", 22),
        Plain("db", "D", None, 22),
    ]


def test_a_refusal_tells_its_line_again() -> None:
    assert yamltext.located(yamltext.wrong(7, "no: good").message) == (7, "no: good")
    assert yamltext.located("compose_yaml: too long") == (None, "too long")
    assert yamltext.located("something else") == (None, "something else")
