"""Passkeys: what the browser is asked for, and whether its answer holds. The library is loaded at the first use."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from roci import Forbidden, Malformed, Roci, Sensitive, Unauthenticated

from ..domain import factors
from ..domain.factors import NewPasskey, Passkey
from ..domain.principals import Principal
from .steps import Challenge, Challenges


@dataclasses.dataclass(frozen=True)
class Site:
    """Where the browser is: passkeys are made for a host name, and signed for an origin."""

    origin: str

    @property
    def name(self) -> str:
        return urlsplit(self.origin).hostname or ""

    @property
    def trouble(self) -> str | None:
        """Why browsers would refuse a passkey here; None: they would not."""
        if self.name == "localhost" or self.name.endswith(".localhost"):
            return None
        try:
            address = ipaddress.ip_address(self.name)
        except ValueError:
            return None if self.origin.startswith("https:") else "passkeys need https, or the name localhost"
        why = f"passkeys need a host name: browsers do not make them for an address such as {self.name}"
        return f"{why}; open {self._as_localhost()} instead" if address.is_loopback else why

    def _as_localhost(self) -> str:
        return re.sub(r"//(\[[^]]*]|[^:]*)", "//localhost", self.origin, count=1)


def _refuse_trouble(site: Site) -> None:
    if site.trouble:
        raise Forbidden(site.trouble)


def _options(options: Any) -> dict[str, Any]:
    from webauthn import options_to_json

    return dict(json.loads(options_to_json(options)))


# --- making one --------------------------------------------------------------


async def begin_registration(
    roci: Roci, site: Site, person: Principal, address: str
) -> tuple[dict[str, Any], Sensitive]:
    """What the browser needs to make a passkey, and the secret for its cookie."""
    _refuse_trouble(site)
    known = await roci.read(factors.passkeys, person.id)
    options = await asyncio.to_thread(_registration, site, person, known)
    challenge = Challenge(options.challenge, person.id)
    return _options(options), roci.part(Challenges).put(challenge, address)


def _registration(site: Site, person: Principal, known: list[Passkey]) -> Any:
    from webauthn import generate_registration_options
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return generate_registration_options(
        rp_id=site.name,
        rp_name="ROCI",
        user_id=person.id.encode(),
        user_name=person.name,
        user_display_name=person.display_name or person.name,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=key.credential_id) for key in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )


async def finish_registration(
    roci: Roci, site: Site, person_id: str, secret: str | None, credential: Mapping[str, Any], name: str
) -> list[Sensitive]:
    """Keep the passkey that the browser made. Returns recovery codes, where there were none."""
    new = await registered(roci, site, person_id, secret, credential, name)
    return await roci.write(factors.add_passkey, person_id, new)


async def registered(
    roci: Roci, site: Site, person_id: str, secret: str | None, credential: Mapping[str, Any], name: str
) -> NewPasskey:
    """The passkey that the browser made, to be kept. Raises Forbidden or Malformed for one that was not asked for."""
    asked = roci.part(Challenges).take(secret)
    if asked is None or asked.principal_id != person_id:
        raise Forbidden("that took too long: try again")
    made = await asyncio.to_thread(_registered, site, asked, credential)
    return NewPasskey(name, site.name, made.credential_id, made.credential_public_key, made.sign_count)


def _registered(site: Site, asked: Challenge, credential: Mapping[str, Any]) -> Any:
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify_registration_response(
            credential=dict(credential),
            expected_challenge=asked.challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Malformed(f"this is no new passkey of {site.name}: {error}") from None


# --- using one ---------------------------------------------------------------


async def begin_sign_in(
    roci: Roci, site: Site, person_id: str | None, address: str
) -> tuple[dict[str, Any], Sensitive]:
    """What the browser needs to use a passkey: one of this person's, or whichever it has for this site."""
    _refuse_trouble(site)
    known = await roci.read(factors.passkeys, person_id) if person_id else []
    options = await asyncio.to_thread(_authentication, site, [key for key in known if key.site == site.name])
    return _options(options), roci.part(Challenges).put(Challenge(options.challenge, person_id), address)


def _authentication(site: Site, known: list[Passkey]) -> Any:
    from webauthn import generate_authentication_options
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    alone = UserVerificationRequirement.REQUIRED
    return generate_authentication_options(
        rp_id=site.name,
        allow_credentials=[PublicKeyCredentialDescriptor(id=key.credential_id) for key in known] or None,
        user_verification=UserVerificationRequirement.PREFERRED if known else alone,
    )


async def finish_sign_in(
    roci: Roci, site: Site, secret: str | None, credential: Mapping[str, Any]
) -> tuple[Principal, bool]:
    """The person whose passkey signed the challenge, and whether it was asked for after a password.

    Where it was not, the passkey must also have checked that it is them, by a finger or a PIN.
    """
    asked = roci.part(Challenges).take(secret)
    if asked is None:
        raise Unauthenticated("that took too long: try again")
    key = await roci.read(factors.find_passkey, _credential_id(credential))
    if key is None or key.site != site.name or asked.principal_id not in (None, key.principal.id):
        raise Unauthenticated("this passkey is not known here")
    person: Principal = key.principal
    if person.disabled or person.kind != "person":
        raise Unauthenticated("this passkey is not known here")
    signed = await asyncio.to_thread(_signed, site, asked, key, credential)
    await roci.write(factors.passkey_used, key.id, signed.new_sign_count)
    return person, asked.principal_id is not None


def _credential_id(credential: Mapping[str, Any]) -> bytes:
    from webauthn import base64url_to_bytes

    try:
        return base64url_to_bytes(credential["rawId"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed("this is not what a passkey answers") from None


def _signed(site: Site, asked: Challenge, key: Passkey, credential: Mapping[str, Any]) -> Any:
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify_authentication_response(
            credential=dict(credential),
            expected_challenge=asked.challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
            credential_public_key=bytes(key.public_key),
            credential_current_sign_count=key.sign_count,
            require_user_verification=asked.principal_id is None,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated(f"the passkey's answer does not hold: {error}") from None
