from __future__ import annotations

import pytest

from roci import Invalid
from roci_plugins.backends import composefile, yamltext

WEB = "services:\n  web:\n    image: nginx\n"


def refused(text: str) -> str:
    with pytest.raises(Invalid) as error:
        composefile.parse(text)
    return error.value.message


@pytest.mark.parametrize(
    "text",
    [
        WEB,
        "version: '3.8'\n" + WEB,
        "services: {w: {build: .}}",
        "services: {w: {extends: {service: x}}, x: {image: a}}",
        "x-base: &b {image: nginx}\nservices: {w: {<<: *b}, v: {<<: [*b], command: x}}",
        WEB + "    depends_on: [db]\n  db:\n    image: pg\n",
        WEB + "    depends_on: {db: {condition: service_healthy}}\n  db:\n    image: pg\n",
        WEB + "    depends_on: {elsewhere: {condition: service_started, required: false}}\n",
        WEB + "    volumes: ['/etc/localtime:/etc/localtime:ro', '../shared:/s']\n",
        WEB + "    env_file: [./a.env, {path: sub/../b.env, required: false}]\n",
        "include: [other.yml]\nservices: {w: {image: a, depends_on: [elsewhere]}}",
        WEB + "    ports: !override ['80:80']\n",
    ],
)
def test_a_sound_file_is_accepted(text: str) -> None:
    composefile.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "compose_yaml line 1: a Compose file is a mapping that holds `services`"),
        ("hello", "compose_yaml line 1: a Compose file is a mapping"),
        ("name: x\n", "compose_yaml line 1: `services` must name at least one service"),
        ("name: x\nservices: {}\n", "compose_yaml line 2: `services` must name at least one service"),
        ("services: [a]", "compose_yaml line 1: `services` must name"),
        ("services:\n  web: nginx\n", "compose_yaml line 2: the service 'web' must be a mapping"),
        ("services:\n  web:\n    ports: []\n", "compose_yaml line 2: the service 'web' has no `image`"),
        ("services:\n  'a b': {image: x}\n", "compose_yaml line 2: 'a b' cannot name a service"),
        (
            "services:\n  w:\n    image: x\n    provider: {type: /bin/sh}\n",
            "compose_yaml line 4: `provider` runs a program on the host itself, outside of any container",
        ),
        ("services:\n  w:\n    provider: {type: model}\n", "compose_yaml line 3: `provider` runs a program"),
        ("services:\n  w:\n    image: [x]\n", "compose_yaml line 3: `image` must be text"),
        (WEB + "  web:\n    image: b\n", "compose_yaml line 4: 'web' stands here a second time"),
        (WEB + "    depends_on: [db]\n", "compose_yaml line 4: 'web' depends on 'db', which is no service here"),
        (WEB + "    depends_on: db\n", "compose_yaml line 4: `depends_on` must be a list"),
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
            "services depend on each other in a circle",
        ),
        ("services:\n  web:\n   image: x\n  - y\n", "compose_yaml line 4: "),
        ("services:\n\tweb: {}\n", "compose_yaml line 2: "),
        ("a: 1\n---\nb: 2\n", "compose_yaml line 2: "),
        ("services: {w: {image: !!python/object:os.system x}}", "line 1: Compose does not know the tag"),
        ("services: {? [a] : b}", "compose_yaml line 1: a key must be a word"),
        (WEB + "\x00", "a character that YAML does not allow"),
        (WEB + "\ud800", "characters that are no text"),
        (WEB + "#" * yamltext.LIMIT, "the most is 256"),
        ("a: &a [*a]\n" + WEB, "an alias leads back to itself"),
        ("[" * 100, "nested more than 40 deep"),
        ("- " * 100_000, "nested more than 40 deep"),
        ("&x " * 3, "compose_yaml line 1: "),
    ],
)
def test_a_broken_file_is_refused_with_its_line_and_reason(text: str, message: str) -> None:
    assert message in refused(text)


def test_aliases_that_multiply_are_refused() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 50000 values" in refused("\n".join(layers))


@pytest.mark.parametrize("long", ["'{}'", "{{? '{}' : 1}}"])
def test_aliases_of_a_long_text_are_refused(long: str) -> None:
    def aliased(length: int, times: int) -> str:
        return f"{WEB}x-long: &long {long.format('$A' * (length // 2))}\nx-all: [{'*long, ' * times}]\n"

    assert "longer than 1024 KiB" in refused(aliased(128 * 1024, 10_000))
    assert len(yamltext.parse(aliased(128 * 1024, 6)).value["x-all"]) == 6


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "~/x", "~root/x", "${HOME}/x", "$X", "https://x/y", "git@host:x", "oci://r/x",
     "github.com/a/b", "", "c:\\x"],
)  # fmt: skip
@pytest.mark.parametrize(
    "text",
    [
        "include: ['{}']\n" + WEB,
        "include: '{}'\n" + WEB,
        "include: [{{path: '{}'}}]\n" + WEB,
        "include: [{{path: [ok.yml, '{}']}}]\n" + WEB,
        "include: [{{path: ok.yml, env_file: '{}'}}]\n" + WEB,
        "include: [{{path: ok.yml, project_directory: '{}'}}]\n" + WEB,
        WEB + "    extends: {{file: '{}', service: x}}\n",
        WEB + "    env_file: '{}'\n",
        WEB + "    env_file: [ok.env, '{}']\n",
        WEB + "    env_file: [{{path: '{}'}}]\n",
        WEB + "    label_file: '{}'\n",
        WEB + "    credential_spec: {{file: '{}'}}\n",
        WEB + "configs: {{c: {{file: '{}'}}}}\n",
        WEB + "secrets: {{s: {{file: '{}'}}}}\n",
    ],
)
def test_a_file_outside_the_folder_of_the_application_is_refused(text: str, path: str) -> None:
    assert refused(text.format(path)).startswith("compose_yaml line ")


def test_text_is_read_as_compose_reads_it() -> None:
    text = "ports: [22:22, 80]\nmode: 0o440\nold: 0440\non: yes\ntrue: true\nnil: ~\nday: 2024-01-01\ns: '80'\nf: 1.5\n"
    assert yamltext.parse(text).value == {
        "ports": ["22:22", 80], "mode": "0o440", "old": 440, "on": "yes", "true": True, "nil": None,
        "day": "2024-01-01", "s": "80", "f": 1.5,
    }  # fmt: skip


def test_a_merged_key_keeps_the_line_it_was_written_on() -> None:
    document = yamltext.parse("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  x: 3\n")
    assert document.value["b"] == {"x": 3, "y": 2}
    assert (document.lines["b", "x"], document.lines["b", "y"]) == (6, 3)


def test_services_come_after_what_they_depend_on() -> None:
    text = "services:\n  a: {image: x, depends_on: [c]}\n  b: {image: x}\n  c: {image: x, depends_on: {b: {}}}\n"
    assert composefile.start_order(composefile.parse(text)) == ["b", "c", "a"]
