// Policies are put in order by dragging or by keys, and the form of one shows the fields of the matcher that is chosen.
"use strict";

(() => {
  const list = () => document.getElementById("policies");
  const order = () => [...list().children].map((item) => item.dataset.id).join(",");
  const SETTLED = 500; // ms after the last key until the order is saved
  let held = null; // the item that is dragged
  let was = ""; // the order before
  let timer = null;
  let saving = 0; // orders on their way to the server, which meanwhile knows an older one

  const isMoving = () => held !== null || timer !== null;

  // The server's page after a form was sent: its list and what it said take the place of ours.
  function take(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const told = page.querySelector("main > .well:not(#told)");
    document.getElementById("told").textContent = told ? told.textContent : "";
    renew(page.getElementById("list"));
  }

  function renew(part) {
    if (!part) return location.reload();
    const mine = document.getElementById("list");
    if (window.Idiomorph) Idiomorph.morph(mine, part);
    else mine.replaceWith(part);
    roci.localTimes(document.getElementById("list"));
    if (window.htmx) htmx.process(document.getElementById("list"));
  }

  async function save() {
    timer = null;
    if (order() === was) return;
    const form = document.getElementById("order");
    form.elements.ids.value = order();
    saving += 1;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (answer.ok) return take(await answer.text());
      if (answer.status === 401) return void roci.checkSession();
      take(await (await fetch(location.href)).text());
      document.getElementById("told").textContent = document.getElementById("told").dataset.failed;
    } catch {
      document.getElementById("told").textContent = document.getElementById("told").dataset.lost;
    } finally {
      saving -= 1;
    }
  }

  function start(event) {
    const grip = event.target.closest(".grip");
    if (!grip || event.button !== 0) return;
    event.preventDefault();
    grip.focus();
    held = grip.closest("li");
    held.classList.add("held");
    was = order();
  }

  // The others make room: what is held stays where it is in the document, or a finger on it would be let go.
  function drag(event) {
    if (!held) return;
    const before = held.previousElementSibling;
    const after = held.nextElementSibling;
    const middle = (item) => item.getBoundingClientRect().top + item.offsetHeight / 2;
    if (before && event.clientY < middle(before)) held.after(before);
    else if (after && event.clientY > middle(after)) held.before(after);
  }

  function drop() {
    if (!held) return;
    held.classList.remove("held");
    held = null;
    save();
  }

  function giveUp() {
    held.classList.remove("held");
    held = null;
    const items = new Map([...list().children].map((item) => [item.dataset.id, item]));
    for (const id of was.split(",")) list().append(items.get(id));
  }

  function key(event) {
    if (event.key === "Escape" && held) return giveUp();
    const item = event.target.closest?.(".grip")?.closest("li");
    const by = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
    if (!item || !by || held) return;
    event.preventDefault();
    if (!isMoving()) was = order();
    const other = item[by];
    if (other && event.key === "ArrowUp") item.after(other);
    else if (other) item.before(other);
    clearTimeout(timer);
    timer = setTimeout(save, SETTLED);
  }

  function moveInList() {
    document.body.classList.add("movable");
    document.addEventListener("pointerdown", start);
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", drop);
    document.addEventListener("pointercancel", () => held && giveUp());
    document.addEventListener("keydown", key);
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.target.id === "list" && (isMoving() || saving)) event.detail.shouldSwap = false;
    });
  }

  function edit(form) {
    let isChanged = form.dataset.changed === "yes";
    document.body.classList.add("scripted");
    form.addEventListener("input", () => (isChanged = true));
    form.addEventListener("submit", () => (isChanged = false));
    form.elements.kind?.addEventListener("change", () => form.querySelector('[name="then"][value="kind"]').click());
    roci.unsaved.push(() => isChanged);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("policy");
    if (document.getElementById("order")) moveInList();
    if (form) edit(form);
  });
})();
