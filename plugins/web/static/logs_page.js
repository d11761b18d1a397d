// The page of logs: reads one stream for all chosen containers, merges their lines by time, filters and keeps them.
"use strict";

const MOST_LINES = 100000; // kept in the page
const SLACK = 2000; // lines beyond that before the oldest are let go
const SETTINGS = "roci-logs";

// What tells names apart: without the beginning that all have.
function shortened(labels) {
  if (labels.length < 2) return labels;
  let end = 0;
  while (labels.every((each) => each[end] !== undefined && each[end] === labels[0][end])) end++;
  const cut = Math.max(labels[0].lastIndexOf("-", end - 1), labels[0].lastIndexOf("_", end - 1)) + 1;
  return labels.map((each) => each.slice(cut));
}

class Logs extends Feed {
  constructor(root) {
    super(root);
    this.lines = [];
    this.panes = [];
    this.isOldest = this.isFull = false;
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(SETTINGS)) || {};
    } catch {
      // A browser that keeps nothing has the usual settings.
    }
    const isMany = new Set(this.sources.map((each) => each.host)).size > 1;
    this.labels = this.sources.map((each) => (isMany ? `${each.name} · ${each.hostname}` : each.name));
    this.options = {
      wrap: kept.wrap ?? matchMedia("(max-width: 48rem)").matches, times: kept.times ?? true, split: kept.split ?? false,
      names: null, labels: this.labels, pattern: null, looked: null,
      row: (line, row, text) => this.fill(line, row, text),
      indent: () => (this.options.times ? 24 : 0) + (this.options.names ? this.widest + 2 : 2),
    };
    this.root.hidden = false;
    this.readFilter();
    this.listen();
    this.makePanes();
    this.open();
  }

  // --- what the reader does ---

  listen() {
    const { options } = this;
    for (const name of ["wrap", "times", "split"]) this.toggle(name, () => options[name], (is) => this.set(name, is));
    this.toggle("follow", () => this.panes.every((pane) => pane.list.isFollowing), (is) => this.panes.forEach((pane) => pane.list.follow(is)));
    this.toggle("regex", () => this.isRegex, (is) => {
      this.isRegex = is;
      this.filter();
    });
    this.find("q").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.filter(), 120);
    });
    this.find("level").addEventListener("change", () => this.filter());
    this.find("older").addEventListener("click", () => this.older());
    this.find("clear").addEventListener("click", () => this.clear());
    this.find("save").addEventListener("click", () => this.save());
    this.find("download").addEventListener("submit", (event) => this.download(event));
    const more = this.root.querySelector(".logs-more");
    document.addEventListener("click", (event) => {
      if (!more.contains(event.target) || event.target.closest(".logs-menu > button")) more.open = false;
    });
    more.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && more.open) {
        more.open = false;
        more.querySelector("summary").focus();
      }
    });
    window.addEventListener("resize", () => this.fit());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.open());
    roci.onLive(() => this.again());
    document.body.addEventListener("live-silent", () => this.stream && this.lost());
  }

  toggle(name, is, set) {
    const button = this.find(name);
    button?.addEventListener("click", () => {
      set(!is());
      this.press();
    });
  }

  press() {
    const states = { ...this.options, regex: this.isRegex, follow: this.panes.every((pane) => pane.list.isFollowing) };
    for (const name of ["wrap", "times", "split", "regex", "follow"]) this.find(name)?.setAttribute("aria-pressed", String(Boolean(states[name])));
  }

  set(name, is) {
    this.options[name] = is;
    const { wrap, times, split } = this.options;
    try {
      localStorage.setItem(SETTINGS, JSON.stringify({ wrap, times, split }));
    } catch {
      // It holds for this page.
    }
    if (name === "split") return this.makePanes();
    this.find("panes").classList.toggle("is-wrapped", wrap);
    return this.panes.forEach((pane) => pane.list.again());
  }

  makePanes() {
    const isSplit = this.options.split && this.sources.length > 1;
    const whose = isSplit ? this.sources.map((_, c) => [c]) : [this.sources.map((_, c) => c)];
    this.options.names = isSplit || this.sources.length < 2 ? null : shortened(this.labels);
    this.widest = Math.min(Math.max(...this.labels.map((_, c) => (this.options.names || [])[c]?.length || 0)), 28);
    const place = this.find("panes");
    place.style.setProperty("--whose", `${this.widest}ch`);
    place.replaceChildren();
    place.classList.toggle("is-split", isSplit);
    place.classList.toggle("is-wrapped", this.options.wrap);
    this.panes = whose.map((mine) => this.pane(place, new Set(mine), isSplit));
    this.press();
    this.fit();
    this.refilter();
  }

  pane(place, mine, isSplit) {
    const element = place.appendChild(this.find("pane").content.firstElementChild.cloneNode(true));
    const names = [...mine].map((c) => this.labels[c]).join(", ");
    element.querySelector(".logs-name").textContent = names;
    element.querySelector(".logs-name").hidden = !isSplit;
    element.querySelector(".logs-view").setAttribute("aria-label", this.say("lines", { containers: names }));
    const pane = { mine, element, list: new LineList(element, this.options), button: element.querySelector(".logs-new"), fresh: 0 };
    pane.list.onFollow = (is) => {
      if (is) pane.fresh = 0;
      this.tell(pane);
      this.press();
    };
    pane.list.onTop = () => this.older();
    pane.button.addEventListener("click", () => {
      pane.list.follow(true);
      pane.list.view.focus();
    });
    pane.list.view.addEventListener("keydown", (event) => {
      if (event.key === "End") pane.list.follow(true);
    });
    return pane;
  }

  tell(pane) {
    pane.button.hidden = pane.list.isFollowing;
    pane.button.textContent = pane.fresh ? this.say("new", { count: pane.fresh.toLocaleString(document.documentElement.lang) }) : this.words.newest;
    const empty = pane.element.querySelector(".logs-empty");
    empty.hidden = pane.list.lines.length > 0;
    if (!empty.hidden) empty.textContent = this.lines.some((line) => pane.mine.has(line.c)) ? this.words.nothing : this.words.waiting;
    this.count();
  }

  count() {
    const shown = this.panes.reduce((sum, pane) => sum + pane.list.lines.length, 0);
    const words = [shown, this.lines.length].map((each) => each.toLocaleString(document.documentElement.lang));
    this.find("count").textContent = this.say("count", { shown: words[0], all: words[1] });
  }

  // The lists reach to the lower edge of the window.
  fit() {
    const top = this.find("panes").getBoundingClientRect().top + window.scrollY;
    this.find("panes").style.setProperty("--height", `${Math.max(window.innerHeight - top - 16, 260)}px`);
  }

  // --- the filter ---

  readFilter() {
    this.isRegex ??= this.find("regex").getAttribute("aria-pressed") === "true";
    const text = this.find("q").value;
    let source = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    this.find("wrong").textContent = "";
    this.find("q").removeAttribute("aria-invalid");
    if (this.isRegex) {
      try {
        new RegExp(text);
        source = text;
      } catch (error) {
        this.find("wrong").textContent = this.say("regex", { reason: error.message.replace(/^.*\/: /, "") });
        this.find("q").setAttribute("aria-invalid", "true");
        return false;
      }
    }
    this.test = source ? new RegExp(source, "i") : null;
    this.options.pattern = source ? new RegExp(source, "gi") : null;
    this.level = this.find("level").value;
    this.least = { info: 3, warn: 4, error: 5 }[this.level] || 0;
    return true;
  }

  passes(line) {
    if (line.l < this.least || (this.level === "stderr" && !line.e)) return false;
    return !this.test || this.test.test(line.p.length > LOOKED_AT ? line.p.slice(0, LOOKED_AT) : line.p);
  }

  filter() {
    if (!this.readFilter()) return;
    const url = new URL(location.href);
    for (const [name, value] of [["q", this.find("q").value], ["re", this.isRegex ? "1" : ""], ["level", this.level], ["plain", ""]]) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    history.replaceState(null, "", url);
    this.options.looked = null;
    this.refilter();
  }

  // In slices, so that typing goes on; lines that come meanwhile wait.
  async refilter(look = null) {
    const turn = (this.turn = (this.turn || 0) + 1);
    this.isFiltering = true;
    const anchors = this.panes.map((pane) => look || (!pane.list.isFollowing && pane.list.looked?.line));
    const found = this.panes.map(() => []);
    for (let at = 0; at < this.lines.length; ) {
      const until = performance.now() + PARTS;
      while (at < this.lines.length && performance.now() < until) {
        for (const end = Math.min(at + 200, this.lines.length); at < end; at++) {
          const line = this.lines[at];
          if (this.passes(line)) found[this.panes.length > 1 ? line.c : 0].push(line);
        }
      }
      if (at < this.lines.length) await new Promise((go) => setTimeout(go));
      if (turn !== this.turn) return;
    }
    this.isFiltering = false;
    this.panes.forEach((pane, index) => {
      pane.list.show(found[index]);
      const anchor = anchors[index];
      const place = anchor && (found[index].includes(anchor) ? anchor : found[index][Math.max(lastBefore(found[index], anchor.s) - 1, 0)]);
      if (place) pane.list.reveal(place, look ? 5 : 0);
      this.tell(pane);
    });
    this.pump();
  }

  // A line that the filter found, among all the others.
  around(line) {
    this.find("q").value = this.find("level").value = "";
    this.filter();
    this.options.looked = line;
    this.refilter(line);
  }

  // --- rows ---

  fill(line, row, text) {
    const fields = fieldsOf(line);
    if (fields) this.button(row, text, line.o ? "▾" : "▸", this.words.fields, "open", line);
    const isLong = line.x.length > SHOWN;
    const pieces = fields ? spoken(fields) : coloured(isLong ? line.x.slice(0, SHOWN) : line.x);
    write(text, fields && isLong ? [{ text: line.p.slice(0, SHOWN) }] : pieces, this.options.pattern);
    if (isLong && !fields) {
      const size = line.x.length > 1048576 ? `${(line.x.length / 1048576).toFixed(1)} MiB` : `${Math.ceil(line.x.length / 1024)} KiB`;
      if (!line.o) this.button(text, null, this.say("all", { size }), "", "open", line);
      this.button(text, null, this.words.save, "", "save", line);
    }
    if (this.test || this.least || this.level) this.button(row, null, "⤢", this.words.around, "around", line);
    if (!line.o) return;
    if (fields) row.append(tree(fields));
    else if (isLong) {
      const all = row.appendChild(document.createElement("div"));
      all.className = "logs-tree logs-all";
      write(all, coloured(line.x.slice(SHOWN, LOOKED_AT * 4)), null);
    }
  }

  button(place, before, sign, label, what, line) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `logs-do logs-${what}`;
    button.textContent = sign;
    if (label) button.setAttribute("aria-label", label);
    if (what === "open") button.setAttribute("aria-expanded", String(line.o));
    button.addEventListener("click", () => this.act(what, line));
    place.insertBefore(button, before);
  }

  act(what, line) {
    if (what === "around") return this.around(line);
    if (what === "save") return this.hand(line.x, this.sources[line.c].name);
    line.o = !line.o;
    const pane = this.panes.find((each) => each.mine.has(line.c));
    pane.list.follow(false);
    pane.list.redraw(line);
    return pane.list.drawn.get(line)?.querySelector(".logs-open")?.focus();
  }

  // --- what is told ---

  note() {
    const said = this.sources.filter((each) => each.ended !== null).map((each) => (each.ended ? this.say("failed", { name: each.name, reason: each.ended }) : this.say("ended", { name: each.name })));
    for (const { name, refused } of this.sources) if (refused) said.push(this.say("failed", { name, reason: refused }));
    if (this.isLost) said.push(this.words.lost);
    if (this.isFull) said.push(this.say("full", { most: MOST_LINES.toLocaleString(document.documentElement.lang) }));
    if (this.isOldest) said.push(this.words.oldest);
    const text = said.join(" ");
    if (text === this.find("note").textContent) return;
    this.find("note").textContent = text;
    this.fit();
  }

  add(fresh) {
    fresh.sort((one, other) => (one.s < other.s ? -1 : one.s > other.s ? 1 : 0));
    mergeInto(this.lines, fresh);
    const fitting = fresh.filter((line) => this.passes(line));
    for (const pane of this.panes) {
      const mine = this.panes.length > 1 ? fitting.filter((line) => pane.mine.has(line.c)) : fitting;
      if (!mine.length) continue;
      if (!pane.list.isFollowing) pane.fresh += mine.length;
      pane.list.grew(mergeInto(pane.list.lines, mine));
    }
    this.trim();
    this.panes.forEach((pane) => this.tell(pane));
    if (this.at) this.goTo();
  }

  trim() {
    if (this.lines.length <= MOST_LINES + SLACK) return;
    for (const line of this.lines.splice(0, this.lines.length - MOST_LINES)) line.isGone = true;
    for (const { list } of this.panes) {
      let gone = 0;
      while (gone < list.lines.length && list.lines[gone].isGone) gone++;
      if (!gone) continue;
      list.lines.splice(0, gone);
      list.dropped(gone);
    }
    this.isFull = true;
    this.note();
  }

  // The first line at or after the moment that the address names.
  goTo() {
    for (const pane of this.panes) {
      const line = pane.list.lines.find((each) => each.s >= this.at);
      if (!line || line === pane.went) continue;
      pane.went = this.options.looked = line;
      pane.list.reveal(line);
    }
    clearTimeout(this.settled);
    this.settled = setTimeout(() => (this.at = ""), 3000); // what comes later moves the reader no more
  }

  // --- older lines, and files ---

  async older() {
    if (this.isAsking || this.isOldest || this.lines.length > MOST_LINES - SLACK || this.sources.some((each) => each.skip)) return;
    this.isAsking = true;
    try {
      const answer = await fetch(`/logs/older?${this.query((source) => [["before", source.first]])}`);
      if (!answer.ok) return;
      const fresh = (await answer.json()).flatMap((piece) => this.olderOf(piece));
      this.isOldest = !fresh.length && !this.sources.some((each) => each.refused);
      this.note();
      if (fresh.length) this.addOlder(fresh);
    } finally {
      this.isAsking = false;
    }
  }

  olderOf({ source: c, lines, reason }) {
    const source = this.sources[c];
    source.refused = reason;
    let before = null;
    const found = [];
    for (const raw of lines) {
      const line = lineOf(c, raw, before);
      if (!line.s || (source.first && line.s >= source.first)) continue;
      found.push(line);
      before = line;
    }
    source.first = found[0]?.s || source.first;
    source.last ||= before?.s || "";
    return found;
  }

  addOlder(fresh) {
    const kept = this.panes.map((pane) => pane.fresh);
    this.add(fresh);
    this.panes.forEach((pane, index) => {
      pane.fresh = kept[index];
      this.tell(pane);
    });
  }

  clear() {
    this.lines = [];
    this.isFull = false;
    for (const source of this.sources) source.first = source.last;
    for (const pane of this.panes) {
      pane.fresh = 0;
      pane.list.follow(true);
      pane.list.show([]);
      this.tell(pane);
    }
    this.note();
  }

  save() {
    const names = this.sources.length > 1;
    const shown = this.panes.length > 1 ? this.lines.filter((line) => this.passes(line)) : this.panes[0].list.lines;
    const text = shown.map((line) => `${line.s ? `${line.s} ` : ""}${names ? `${this.labels[line.c]} ` : ""}${line.p.length < line.x.length ? line.x.replace(ESCAPES, "") : line.p}\n`);
    this.hand(text.join(""), names ? "logs" : this.sources[0].name);
  }

  hand(text, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = `${name.replace(/[^\w.-]/g, "_")}.log`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  download(event) {
    event.preventDefault();
    const query = this.query(() => []);
    for (const [name, value] of new FormData(event.target)) if (value) query.append(name, new Date(value).toISOString());
    location.assign(`/logs/download?${query}`);
  }
}

let logs = null;

document.addEventListener("DOMContentLoaded", () => {
  const plain = document.getElementById("logs-plain");
  if (plain) plain.hidden = true;
  const root = document.getElementById("logs");
  if (root) logs = new Logs(root);
});
