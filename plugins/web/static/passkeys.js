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
  const cancelled = error.name === "NotAllowedError";
  const known = error.name === "InvalidStateError";
  const words = cancelled ? "cancelled, or no passkey fits" : known ? "this device has one for you already" : error.message;
  document.getElementById("message").textContent = words;
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

async function add(form) {
  const token = form.dataset.token;
  const options = await send("/account/passkeys/options", { token, proof: form.elements.proof.value });
  options.challenge = toBytes(options.challenge);
  options.user.id = toBytes(options.user.id);
  options.excludeCredentials = (options.excludeCredentials ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));
  const made = await navigator.credentials.create({ publicKey: options });
  const credential = plain(made, {
    clientDataJSON: toText(made.response.clientDataJSON),
    attestationObject: toText(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
  const kept = await send("/account/passkeys", { token, credential, name: form.elements.name.value });
  if (kept.recovery_codes.length === 0) return location.assign("/account");
  const list = document.querySelector("#new-codes ul");
  for (const code of kept.recovery_codes) {
    const text = document.createElement("code");
    text.textContent = code;
    list.appendChild(document.createElement("li")).append(text);
  }
  document.getElementById("rest").hidden = true; // it shows how things were before
  document.getElementById("new-codes").hidden = false;
  document.getElementById("new-codes").scrollIntoView();
  form.reset();
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
