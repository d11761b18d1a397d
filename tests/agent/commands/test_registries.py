from __future__ import annotations

from roci_plugins.agent.commands.registries import login_words, logout_words


def test_names_and_addresses_are_never_taken_for_options_and_the_password_is_no_argument() -> None:
    args = {"registry_url": "ghcr.io", "username": "--help", "password": "s3cret-password"}
    assert login_words(args) == ["login", "--username=--help", "--password-stdin", "--", "ghcr.io"]
    assert logout_words(args) == ["logout", "--", "ghcr.io"]
