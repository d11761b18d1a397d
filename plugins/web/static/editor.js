// The editor of an application's Compose file. The textarea is the text; Ace only shows it better. Without this script
// the same forms are sent and the same is shown.
"use strict";

class Desk {
  constructor(form) {
    this.form = form;
    this.text = form.elements.compose;
    this.outline = document.getElementById("outline");
    this.said = document.getElementById("said");
    this.draft = new Draft(form.dataset.draft, () => this.fields());
    this.kept = this.state(); // what the server has
    this.isLeaving = false;
    this.ace = null;
    this.checking = null;
    this.makeEditor();
    this.watch();
    this.offerDraft();
    this.mark();
  }

  get value() {
    return this.ace ? this.ace.getValue() : this.text.value;
  }

  set value(text) {
    if (this.ace) this.ace.setValue(text, -1);
    this.text.value = text;
    this.typed();
  }

  fields() {
    const names = ["name", "description", "host_id", "backend"];
    const told = Object.fromEntries(names.map((name) => [name, this.form.elements[name]?.value ?? ""]));
    return { ...told, compose: this.value };
  }

  state() {
    return JSON.stringify(this.fields());
  }

  isChanged() {
    return !this.isLeaving && this.state() !== this.kept;
  }

  // Fingers and small screens are better off with the browser's own field.
  makeEditor() {
    if (!window.ace || matchMedia("(pointer: coarse)").matches || matchMedia("(max-width: 48rem)").matches) return;
    const config = window.ace.config;
    config.set("useStrictCSP", true);
    config.setDefaultValue("session", "useWorker", false);
    config.set("basePath", this.form.dataset.ace);
    const box = document.createElement("div");
    box.className = "ace";
    this.text.before(box);
    this.text.hidden = true;
    this.ace = window.ace.edit(box, {
      value: this.text.value,
      mode: "ace/mode/yaml",
      tabSize: 2,
      useSoftTabs: true,
      showPrintMargin: false,
      enableKeyboardAccessibility: true,
      textInputAriaLabel: document.getElementById("compose-label").textContent.trim(),
      fontSize: 14,
    });
    this.ace.setTheme({ cssClass: "ace-roci", isDark: false, cssText: "", $id: "roci" });
    this.ace.commands.removeCommand("showSettingsMenu");
    document.getElementById("compose-label").addEventListener("click", () => this.ace.focus());
    document.getElementById("editor-keys").hidden = false;
    this.mayPaste(box.querySelector("textarea"));
  }

  watch() {
    roci.unsaved.push(() => this.isChanged());
    window.addEventListener("beforeunload", (event) => { if (this.isChanged()) event.preventDefault(); });
    this.ace?.session.on("change", () => this.typed());
    this.form.addEventListener("input", () => this.typed());
    this.form.addEventListener("submit", (event) => this.submitted(event));
    if (!this.ace) this.mayPaste(this.text);
    document.addEventListener("keydown", (event) => this.pressed(event), true);
    document.addEventListener("click", (event) => {
      const line = event.target.closest?.("[data-go]")?.dataset.go;
      if (line) {
        event.preventDefault();
        this.go(Number(line));
      }
    });
  }

  pressed(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (event.target.closest?.("dialog")) return;
    const wanted = { s: "", S: "", Enter: "deploy" }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const button = wanted === "" ? '[name="then"][value=""]' : '[name="then"][value$="deploy"]';
    const found = this.form.querySelector(button);
    if (found) this.form.requestSubmit(found);
  }

  go(line) {
    if (this.ace) {
      this.ace.gotoLine(line, 0, false);
      this.ace.focus();
      return;
    }
    const begin = this.text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = this.text.value.indexOf("\n", begin);
    this.text.focus();
    this.text.setSelectionRange(begin, end < 0 ? this.text.value.length : end);
    this.text.scrollTop = ((line - 3) / this.text.value.split("\n").length) * this.text.scrollHeight;
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settled(), 300);
  }

  settled() {
    if (this.ace) this.text.value = this.ace.getValue();
    document.getElementById("changed").hidden = !this.isChanged();
    if (this.isChanged()) this.draft.keep();
    this.check();
  }

  // --- what can be said of the text ---

  async check() {
    this.checking?.abort();
    const checking = (this.checking = new AbortController());
    this.outline.classList.add("stale");
    let answer;
    try {
      answer = await fetch(this.form.dataset.check, { method: "POST", body: this.body(), signal: checking.signal });
    } catch {
      return; // another check follows, or the server is away: the page says so by itself
    }
    if (answer.status === 401 || answer.status === 403) {
      await roci.checkSession().catch(() => false);
      return;
    }
    const html = await answer.text();
    if (checking.signal.aborted) return;
    if (answer.ok) this.show(html);
    else this.tell(new DOMParser().parseFromString(html, "text/html").querySelector("main p")?.textContent ?? "", true);
  }

  show(html) {
    this.outline.classList.remove("stale");
    if (html === this.shown) return;
    this.shown = html;
    this.outline.innerHTML = html;
    this.mark();
  }

  // The same in the gutter.
  mark() {
    if (!this.ace) return;
    const found = [...this.outline.querySelectorAll("[data-line]")];
    this.ace.session.setAnnotations(
      found.map((each) => ({ row: each.dataset.line - 1, column: 0, text: each.dataset.text, type: each.dataset.kind })),
    );
  }

  // --- saving ---

  body(then) {
    const body = new FormData(this.form);
    body.set("compose", this.value);
    if (then !== undefined) body.set("then", then);
    return body;
  }

  async submitted(event) {
    event.preventDefault();
    const then = event.submitter?.value ?? "";
    if (then === "convert") {
      await this.convert(this.form.elements.docker_run.value);
      return;
    }
    if (this.isBusy) return;
    this.isBusy = true;
    this.form.setAttribute("aria-busy", "true");
    try {
      await this.send(then, this.fields());
    } catch {
      this.said.replaceChildren(document.getElementById("trouble").content.cloneNode(true));
    } finally {
      this.isBusy = false;
      this.form.removeAttribute("aria-busy");
    }
  }

  async send(then, sent) {
    let answer = await this.post(this.form.getAttribute("action"), this.body(then));
    if (answer.status === 401 || answer.status === 403) {
      // signed in anew in another tab: the form gets the token of that stay, and is sent once more
      if (!(await roci.checkSession())) return;
      answer = await this.post(this.form.getAttribute("action"), this.body(then));
    }
    const told = await answer.json();
    if (told.to) {
      this.isLeaving = true;
      this.draft.drop();
      location.assign(told.to);
      return;
    }
    if (told.html === undefined) this.tell(told.error?.message ?? "", true);
    else this.said.innerHTML = told.html;
    if (told.seen && this.form.elements.seen) this.form.elements.seen.value = told.seen;
    if (answer.ok) this.saved(sent);
    else this.said.scrollIntoView({ block: "nearest" });
  }

  post(path, body) {
    return fetch(path, { method: "POST", body, headers: { Accept: "application/json" } });
  }

  // What was sent is kept; what was typed since is not.
  saved(sent) {
    this.kept = JSON.stringify(sent);
    document.getElementById("changed").hidden = !this.isChanged();
    if (this.isChanged()) this.draft.keep();
    else this.draft.drop();
  }

  tell(text, isWrong) {
    const line = document.createElement("p");
    line.className = isWrong ? "wrong" : "well";
    line.setAttribute("role", isWrong ? "alert" : "status");
    line.textContent = text;
    this.said.replaceChildren(line);
  }

  // --- docker run ---

  // A docker run line that is pasted where nothing of one's own stands becomes a Compose file.
  mayPaste(field) {
    if (!this.form.dataset.convert) return;
    field.addEventListener("paste", (event) => {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      const isEmpty = !this.value.trim() || this.state() === this.kept;
      if (!isEmpty || !/^\s*(\$\s+)?(sudo\s+)?(docker|podman)\s+(container\s+)?run\s/.test(text)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.convert(text);
    }, true);
  }

  async convert(line) {
    const body = this.body("convert");
    body.set("docker_run", line);
    const answer = await this.post(this.form.dataset.convert, body);
    const told = await answer.json();
    if (!answer.ok) {
      this.tell(told.error?.message ?? "", true);
      return;
    }
    const { name, docker_run: field } = this.form.elements;
    if (!name.value) name.value = told.name;
    field.value = "";
    field.closest("details").open = false;
    this.said.replaceChildren(document.getElementById("left-out").content.cloneNode(true));
    for (const reason of told.left_out) {
      const item = document.createElement("li");
      item.textContent = reason;
      this.said.querySelector("ul").append(item);
    }
    this.value = told.compose;
  }

  // --- drafts ---

  offerDraft() {
    const found = this.draft.read();
    const { at, ...fields } = found ?? {};
    if (!found || JSON.stringify(fields) === this.kept) return;
    const offer = document.getElementById("draft");
    const time = offer.querySelector("time");
    time.dateTime = at;
    roci.localTimes(offer);
    offer.hidden = false;
    offer.querySelector("[data-take]").addEventListener("click", () => {
      offer.hidden = true;
      for (const [name, value] of Object.entries(fields)) {
        const field = this.form.elements[name];
        if (field && name !== "compose" && !field.disabled) field.value = value;
      }
      this.value = fields.compose;
    });
    offer.querySelector("[data-drop]").addEventListener("click", () => {
      offer.hidden = true;
      this.draft.drop();
    });
  }
}

// What was typed and not saved, in this browser.
class Draft {
  constructor(key, fields) {
    this.key = key;
    this.fields = fields;
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify({ ...this.fields(), at: new Date().toISOString() }));
    } catch {
      // a browser that keeps nothing still asks before it leaves the page
    }
  }

  drop() {
    try {
      localStorage.removeItem(this.key);
    } catch {
      // as above
    }
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("editor");
  if (form) new Desk(form);
});
