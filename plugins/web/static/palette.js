// The command palette, the keys of every page, and the menu of narrow ones.
"use strict";

const TOGETHER = 1500; // milliseconds in which the second key of two follows, by when they were pressed

class Palette {
  constructor(dialog) {
    this.dialog = dialog;
    this.input = document.getElementById("palette-q");
    this.none = document.getElementById("palette-none");
    this.yes = document.getElementById("palette-yes");
    this.turn = 0;
    this.input.addEventListener("input", () => {
      if (this.asking) this.question(null);
      clearTimeout(this.later);
      this.later = setTimeout(() => this.ask(), 80);
    });
    this.input.addEventListener("keydown", (event) => this.key(event));
    dialog.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.go(option, event.ctrlKey || event.metaKey);
      else if (event.target === dialog) dialog.close(); // beside it
    });
    dialog.addEventListener("pointermove", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(option);
    });
    this.yes.addEventListener("click", () => this.send(this.asking));
    this.yes.addEventListener("keydown", (event) => event.repeat && event.preventDefault()); // the Enter that asked
    document.getElementById("palette-no").addEventListener("click", () => this.question(null));
  }

  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.input.value = "";
    this.question(null);
    this.ask();
  }

  get options() {
    return [...this.dialog.querySelectorAll("[role=option]")];
  }

  get chosen() {
    return this.dialog.querySelector('[role=option][aria-selected="true"]');
  }

  async ask() {
    const turn = ++this.turn;
    const answer = await fetch(`/palette?${new URLSearchParams({ part: "found", q: this.input.value })}`).catch(() => null);
    if (turn !== this.turn) return;
    if (!answer?.ok) {
      this.none.textContent = this.none.dataset.failed;
      roci.checkSession().catch(() => false);
      return;
    }
    const list = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("palette-found");
    if (turn !== this.turn || !list) return;
    document.getElementById("palette-found").replaceWith(list);
    this.none.textContent = this.options.length ? "" : this.none.dataset.none;
    this.choose(this.options[0]);
    this.answered = this.input.value;
  }

  choose(option) {
    for (const each of this.options) each.setAttribute("aria-selected", String(each === option));
    this.input.setAttribute("aria-activedescendant", option ? option.id : "");
    option?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const { options, chosen } = this;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (by && options.length) {
      event.preventDefault();
      const at = options.indexOf(chosen) + by;
      const isPage = Math.abs(by) > 1;
      this.choose(options[isPage ? Math.min(Math.max(at, 0), options.length - 1) : (at + options.length) % options.length]);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.enter(event.ctrlKey || event.metaKey);
    }
  }

  // Who types fast means what they typed, not what was found for the half of it.
  async enter(isApart) {
    clearTimeout(this.later);
    if (this.answered !== this.input.value) await this.ask();
    if (this.chosen) this.go(this.chosen, isApart);
  }

  go(option, isApart) {
    const { path, form, asks } = option.dataset;
    if (form === undefined) {
      this.dialog.close();
      if (isApart) window.open(path, "_blank", "noopener");
      else location.assign(path);
      return;
    }
    if (asks) this.question(option);
    else this.send(option);
  }

  // What it asks before this is sent, in place of the list; null: the list again.
  question(option) {
    this.asking = option;
    document.getElementById("palette-asks").hidden = !option;
    document.getElementById("palette-list").hidden = Boolean(option);
    document.getElementById("palette-asked").textContent = option?.dataset.asks ?? "";
    this.yes.textContent = option?.querySelector("span").textContent ?? "";
    (option ? this.yes : this.input).focus();
  }

  send(option) {
    const { path, form } = option.dataset;
    const sent = document.getElementById("palette-form");
    sent.action = path;
    for (const [name, value] of Object.entries(JSON.parse(form))) {
      const input = sent.appendChild(document.createElement("input"));
      [input.type, input.name, input.value] = ["hidden", name, value];
    }
    sent.submit();
  }
}

// --- keys ---

function isTyping(target) {
  return target.isContentEditable || Boolean(target.closest?.("input, textarea, select, [role=textbox], .ace_editor, .xterm, dialog"));
}

function filterField() {
  const places = ["input[data-filter]", "form[data-filter] input:not([type=hidden], [type=checkbox])", "input[type=search]"];
  const fields = places.flatMap((place) => [...document.querySelectorAll(`main ${place}`)]);
  return fields.find((each) => (each.checkVisibility ? each.checkVisibility() : each.offsetParent)) || null;
}

class Keys {
  constructor(palette) {
    this.palette = palette;
    this.dialog = document.getElementById("keys");
    this.began = -Infinity; // when `g` was pressed
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  pressed(event) {
    if (event.defaultPrevented || event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      if (event.target.closest?.(".xterm")) return; // there it is the shell's
      event.preventDefault();
      this.palette.open();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.timeStamp - this.began < TOGETHER) this.goes(event);
    else if (event.key === "/") this.toFilter(event);
    else if (event.key === "?") this.dialog.showModal();
    else if (event.key === "g") this.began = event.timeStamp;
  }

  goes(event) {
    this.began = -Infinity;
    const there = [...this.dialog.querySelectorAll("[data-go]")].find((each) => each.dataset.go === event.key);
    if (there) location.assign(there.dataset.path);
  }

  toFilter(event) {
    const field = filterField();
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  }
}

// --- the menu of narrow pages: a link to the navigation, which without scripts is its target ---

class Menu {
  constructor(nav, opener) {
    this.nav = nav;
    this.opener = opener;
    opener.setAttribute("role", "button");
    opener.setAttribute("aria-controls", nav.id);
    this.show(false);
    document.addEventListener("click", (event) => this.clicked(event));
    opener.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      this.show(true);
    });
    nav.addEventListener("keydown", (event) => event.key === "Escape" && this.show(false, true));
    nav.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !nav.contains(event.relatedTarget)) this.show(false);
    });
  }

  get isOpen() {
    return this.nav.classList.contains("is-open");
  }

  clicked(event) {
    if (this.opener.contains(event.target)) {
      event.preventDefault();
      this.show(!this.isOpen);
    } else if (event.target.closest(".menu-close")) {
      event.preventDefault();
      this.show(false, true);
    } else if (this.isOpen && !this.nav.contains(event.target)) this.show(false);
  }

  show(is, back = false) {
    this.nav.classList.toggle("is-open", is);
    this.opener.setAttribute("aria-expanded", String(is));
    if (is) this.nav.querySelector("li a[aria-current], li a").focus();
    else if (back) this.opener.focus();
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("palette");
  if (!dialog?.showModal) return;
  const palette = new Palette(dialog);
  new Keys(palette);
  for (const opener of document.querySelectorAll("[data-palette]")) {
    opener.addEventListener("click", (event) => {
      event.preventDefault();
      palette.open();
    });
  }
  const opener = document.querySelector(".menu");
  if (opener) new Menu(document.getElementById("pages"), opener);
});
