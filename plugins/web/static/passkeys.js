// Passkeys: what the browser's own interface needs around it. Everything else works without scripts.
"use strict";

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const toText = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error.message);
  return result;
}

function say(error) {
  const place = document.getElementById("message");
  const known = { NotAllowedError: place.dataset.cancelled, InvalidStateError: place.dataset.known }[error.name];
  place.textContent = known ?? error.message;
}

const plain = (credential, response) => ({
  id: credential.id,
  rawId: toText(credential.rawId),
  type: credential.type,
  clientExtensionResults: credential.getClientExtensionResults(),
  response,
});

async function signIn(button) {
  const options = await send("/login/passkey/options", { second: Boolean(button.dataset.second) });
  options.challenge = toBytes(options.challenge);
  options.allowCredentials = (options.allowCredentials ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));
  const made = await navigator.credentials.get({ publicKey: options });
  const { clientDataJSON, authenticatorData, signature, userHandle } = made.response;
  const credential = plain(made, {
    clientDataJSON: toText(clientDataJSON),
    authenticatorData: toText(authenticatorData),
    signature: toText(signature),
    userHandle: userHandle ? toText(userHandle) : null,
  });
  location.assign((await send("/login/passkey", { credential, next: button.dataset.next ?? "/" })).next);
}

async function create(options) {
  options.challenge = toBytes(options.challenge);
  options.user.id = toBytes(options.user.id);
  options.excludeCredentials = (options.excludeCredentials ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));
  const made = await navigator.credentials.create({ publicKey: options });
  return plain(made, {
    clientDataJSON: toText(made.response.clientDataJSON),
    attestationObject: toText(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

function showCodes(codes) {
  const list = document.querySelector("#new-codes ul");
  for (const code of codes) {
    const text = document.createElement("code");
    text.textContent = code;
    list.appendChild(document.createElement("li")).append(text);
  }
  document.getElementById("rest").hidden = true; // it shows how things were before
  document.getElementById("new-codes").hidden = false;
  document.getElementById("new-codes").scrollIntoView();
}

async function add(form) {
  const token = form.dataset.token;
  const options = await send("/account/passkeys/options", { token, proof: form.elements.proof.value });
  const credential = await create(options);
  const kept = await send("/account/passkeys", { token, credential, name: form.elements.name.value });
  if (kept.recovery_codes.length === 0) return location.assign("/account");
  showCodes(kept.recovery_codes);
  form.reset();
}

// The first administrator, without a password.
async function begin(form) {
  const username = form.elements.username.value;
  const credential = await create(await send(`${location.pathname}/passkey/options`, { username }));
  showCodes((await send(`${location.pathname}/passkey`, { username, credential })).recovery_codes);
}

const button = document.getElementById("passkey");
if (button && window.PublicKeyCredential) {
  button.hidden = false;
  button.addEventListener("click", () => signIn(button).catch(say));
}
const form = document.getElementById("new-passkey");
if (form && window.PublicKeyCredential) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add(form).catch(say);
  });
}
const first = document.getElementById("first-passkey");
if (first && window.PublicKeyCredential) {
  first.hidden = false;
  first.addEventListener("click", () => begin(document.getElementById("first")).catch(say));
}
