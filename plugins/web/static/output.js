// The output of an operation: colours and lines as a terminal has them, followed as it comes. What programs print is
// only ever set as text.
"use strict";

(() => {
  const MOST_LINES = 5000;
  const MOST_CHARACTERS = 1024 * 1024;
  const LONGEST_LINE = 16 * 1024; // a longer one is broken
  const TOKEN = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]|[\r\n\b\x1b]|[^\r\n\b\x1b]+/g;
  const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)$/;
  const STEP = /^ ?(?:(Container|Network|Volume|Image|Service|Config|Secret) )? ?(\S+) +([A-Z][a-z]+)(?: +[\d.]+s)? *$/;
  const TONES = {
    good: ["Started", "Created", "Recreated", "Healthy", "Pulled", "Removed", "Stopped", "Running", "Built", "Restarted", "Exited"],
    busy: ["Starting", "Creating", "Recreate", "Waiting", "Pulling", "Removing", "Stopping", "Building", "Restarting", "Skipped", "Warning"],
    bad: ["Error", "Failed", "Interrupted", "Unhealthy"],
  };
  const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, words]) => words.map((word) => [word, tone])));
  const TROUBLE = /^(?:error|failed|fatal)\b|level=(?:error|fatal)|^ \S+ Error /i;
  const HINT = /^hint: /;
  const WARNING = /level=warn|^WARN/;
  const PLAIN = Object.freeze({});

  // Lines with a cursor in them: what terminals make of text, as far as build tools and progress bars use it.
  class Screen {
    constructor(node) {
      this.node = node;
      this.clear();
    }

    clear() {
      this.node.replaceChildren();
      this.lines = [];
      this.size = 0;
      this.rest = "";
      this.style = PLAIN;
      this.dirty = new Set();
      this.row = this.column = 0;
      this.isTrimmed = false;
      this.line();
    }

    line() {
      while (this.lines.length <= this.row) {
        const line = { runs: [], length: 0, node: null };
        this.lines.push(line);
        this.dirty.add(line);
      }
      return this.lines[this.row];
    }

    write(text) {
      text = this.rest + text;
      const end = text.length > 4096 ? text.slice(-4096) : text;
      this.rest = UNFINISHED.exec(end)?.[0] ?? "";
      text = text.slice(0, text.length - this.rest.length);
      for (const match of text.matchAll(TOKEN)) {
        if (match[2]) this.control(match[2], match[1]);
        else if (match[0] === "\n") this.newLine();
        else if (match[0] === "\r") this.column = 0;
        else if (match[0] === "\b") this.column = Math.max(this.column - 1, 0);
        else if (match[0][0] !== "\x1b") this.put(match[0]);
      }
      this.trim();
    }

    newLine() {
      this.row += 1;
      this.column = 0;
      this.line();
      if (this.lines.length > 2 * MOST_LINES) this.trim();
    }

    put(text) {
      while (text) {
        if (this.column >= LONGEST_LINE) this.newLine();
        const part = text.slice(0, LONGEST_LINE - this.column);
        this.set(part);
        text = text.slice(part.length);
      }
    }

    set(text) {
      const line = this.line();
      const run = { style: this.style, text };
      const before = line.length;
      if (this.column === line.length && line.runs.at(-1)?.style === this.style) line.runs.at(-1).text += text;
      else if (this.column === line.length) line.runs.push(run);
      else {
        const gap = this.column > line.length ? [{ style: PLAIN, text: " ".repeat(this.column - line.length) }] : [];
        line.runs = [...cut(line.runs, 0, this.column), ...gap, run, ...cut(line.runs, this.column + text.length, Infinity)];
      }
      this.column += text.length;
      line.length = Math.max(line.length, this.column);
      this.size += line.length - before;
      this.dirty.add(line);
    }

    control(letter, given) {
      const numbers = given.split(";").map((text) => (/^\d{1,6}$/.test(text) ? Number(text) : 0));
      const count = Math.max(numbers[0], 1);
      if (letter === "m") this.style = styled(this.style, numbers);
      else if (letter === "K") this.erase(numbers[0]);
      else if (letter === "A" || letter === "F") this.row = Math.max(this.row - count, 0);
      else if (letter === "B" || letter === "E") this.row = Math.min(this.row + count, this.lines.length - 1);
      else if (letter === "C") this.column = Math.min(this.column + count, LONGEST_LINE);
      else if (letter === "D") this.column = Math.max(this.column - count, 0);
      else if (letter === "G") this.column = Math.min(count - 1, LONGEST_LINE);
      if (letter === "E" || letter === "F") this.column = 0;
      if (letter === "J") for (let at = this.row + 1; at < this.lines.length; at += 1) this.empty(this.lines[at]);
      if (letter === "J") this.erase(numbers[0]);
    }

    empty(line) {
      this.size -= line.length;
      line.runs = [];
      line.length = 0;
      this.dirty.add(line);
    }

    erase(how) {
      const line = this.line();
      if (how === 2 || this.column === 0) {
        this.empty(line);
      } else if (how === 0) {
        line.runs = cut(line.runs, 0, this.column);
        this.size -= Math.max(line.length - this.column, 0);
        line.length = Math.min(line.length, this.column);
        this.dirty.add(line);
      }
    }

    // The oldest go when it is too much.
    trim() {
      let gone = Math.max(this.lines.length - MOST_LINES, 0);
      let size = this.size;
      for (const line of this.lines.slice(0, gone)) size -= line.length;
      while (size > MOST_CHARACTERS && gone < this.lines.length - 1) size -= this.lines[gone++].length;
      if (!gone) return;
      for (const line of this.lines.splice(0, gone)) {
        line.node?.remove();
        this.dirty.delete(line);
      }
      this.size = size;
      this.row = Math.max(this.row - gone, 0);
      this.isTrimmed = true;
    }

    // Bring the page up to what was written.
    paint() {
      for (const line of this.dirty) {
        if (!line.node) {
          line.node = document.createElement("span");
          line.node.className = "line";
        }
        draw(line);
      }
      const added = [...this.dirty].filter((line) => !line.node.parentNode);
      this.dirty.clear();
      if (added.length) this.node.append(...added.map((line) => line.node)); // lines only ever come at the end
    }

    get text() {
      return this.lines.map(words).join("\n");
    }
  }

  function words(line) {
    return line.runs.map((run) => run.text).join("");
  }

  function cut(runs, from, to) {
    const found = [];
    let at = 0;
    for (const run of runs) {
      const text = run.text.slice(Math.max(from - at, 0), Math.max(to - at, 0));
      if (text) found.push({ style: run.style, text });
      at += run.text.length;
    }
    return found;
  }

  // --- colours ---

  function styled(style, numbers) {
    let next = { ...style };
    for (let at = 0; at < numbers.length; at += 1) {
      const code = numbers[at];
      if (code === 0) next = {};
      else if (code === 1) next.bold = true;
      else if (code === 2) next.faint = true;
      else if (code === 3) next.italic = true;
      else if (code === 4) next.under = true;
      else if (code === 7) next.inverse = true;
      else if (code === 22) next.bold = next.faint = false;
      else if (code === 23) next.italic = false;
      else if (code === 24) next.under = false;
      else if (code === 27) next.inverse = false;
      else if (code === 38 || code === 48) {
        const [colour, taken] = wide(numbers.slice(at + 1));
        next[code === 38 ? "front" : "back"] = colour;
        at += taken;
      } else if (code === 39) next.front = undefined;
      else if (code === 49) next.back = undefined;
      else if (code >= 30 && code <= 37) next.front = code - 30;
      else if (code >= 90 && code <= 97) next.front = code - 82;
      else if (code >= 40 && code <= 47) next.back = code - 40;
      else if (code >= 100 && code <= 107) next.back = code - 92;
    }
    return Object.values(next).some((value) => value !== undefined && value !== false) ? next : PLAIN;
  }

  // A colour of 256, or of all, and how many numbers told it.
  function wide([how, one, two, three]) {
    if (how === 2) return [`rgb(${[one, two, three].map((part) => Math.min(part || 0, 255)).join(" ")})`, 4];
    if (how !== 5 || one === undefined) return [undefined, 1];
    if (one < 16) return [one, 2];
    if (one > 231) return [`rgb(${Array(3).fill(8 + 10 * (Math.min(one, 255) - 232)).join(" ")})`, 2];
    const level = (part) => (part ? 55 + 40 * part : 0);
    const at = one - 16;
    return [`rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`, 2];
  }

  // A colour of the program's own choice: the style sheet makes it readable.
  function own(node, what, colour) {
    node.classList.add(`own-${what}`);
    node.style.setProperty(`--${what}`, colour);
  }

  function piece(run) {
    if (run.style === PLAIN) return document.createTextNode(run.text);
    const node = document.createElement("span");
    const { front, back, ...rest } = run.style;
    for (const [name, holds] of Object.entries(rest)) if (holds) node.classList.add(name);
    if (typeof front === "number") node.classList.add(`front-${front}`);
    else if (front) own(node, "front", front);
    if (typeof back === "number") node.classList.add(`back-${back}`);
    else if (back) own(node, "behind", back);
    node.textContent = run.text;
    return node;
  }

  function draw(line) {
    const isPlain = line.length < 1000 && line.runs.every((run) => run.style === PLAIN);
    const text = isPlain ? words(line) : "";
    const step = STEP.exec(text);
    const tone = step && TONE_OF.get(step[3]);
    line.step = tone ? { kind: step[1], name: step[2], word: step[3], tone } : null;
    line.node.classList.toggle("bad", TROUBLE.test(text));
    line.node.classList.toggle("busy", WARNING.test(text));
    line.node.classList.toggle("hint", HINT.test(text));
    if (!tone) return line.node.replaceChildren(...line.runs.map(piece));
    const at = text.lastIndexOf(step[3]);
    const word = document.createElement("span");
    word.className = tone;
    word.textContent = text.slice(at);
    line.node.replaceChildren(text.slice(0, at), word);
  }

  // --- what is done to what, of which Compose prints a line for each change ---

  class Steps {
    constructor(node) {
      this.node = node;
      this.items = new Map();
    }

    clear() {
      this.items.clear();
      this.node.replaceChildren();
      this.node.hidden = true;
    }

    note({ kind, name, word, tone }) {
      if (!kind) return;
      const key = `${kind} ${name}`;
      let item = this.items.get(key);
      if (!item) {
        item = document.createElement("li");
        item.append(name, " ", document.createElement("span"));
        this.items.set(key, item);
        this.node.append(item);
        this.node.hidden = false;
      }
      item.className = tone;
      item.lastChild.textContent = word;
    }
  }

  // --- the page ---

  class Output {
    constructor(node) {
      this.node = node;
      this.screen = new Screen(node);
      this.steps = new Steps(document.getElementById("steps"));
      this.toEnd = node.parentNode.querySelector(".toend");
      this.isPinned = true;
      this.last = 0;
      this.mark = "";
      this.after = -1;
      this.hasGap = false;
      this.wait = 1000;
      node.addEventListener("scroll", () => this.scrolled());
      this.toEnd.addEventListener("click", () => this.pin());
      document.addEventListener("visibilitychange", () => this.follow());
      window.addEventListener("pagehide", () => this.close());
      window.addEventListener("pageshow", () => this.follow());
    }

    write(text) {
      this.screen.write(text);
      this.asked ??= requestAnimationFrame(() => this.paint());
    }

    paint() {
      this.asked = null;
      const changed = [...this.screen.dirty];
      this.screen.paint();
      for (const line of changed) if (line.step) this.steps.note(line.step);
      document.getElementById("silent").hidden = this.screen.size > 0;
      if (this.screen.isTrimmed) document.getElementById("trimmed").hidden = false;
      if (this.isPinned) this.pin();
      else this.scrolled();
    }

    pin() {
      this.isPinned = true;
      this.node.scrollTop = this.node.scrollHeight;
      this.last = this.node.scrollTop;
      this.toEnd.hidden = true;
    }

    // Whoever scrolls up wants to read; whoever comes back to the end wants to follow.
    scrolled() {
      const isAtEnd = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 24;
      if (isAtEnd) this.isPinned = true;
      else if (this.node.scrollTop < this.last - 1) this.isPinned = false;
      this.last = this.node.scrollTop;
      this.toEnd.hidden = this.isPinned || isAtEnd;
    }

    follow() {
      if (document.visibilityState === "hidden") this.close();
      else if (this.node.dataset.follow && !this.source) this.open();
    }

    close() {
      clearTimeout(this.timer);
      this.source?.close();
      this.source = null;
    }

    open() {
      const source = (this.source = new EventSource(`${this.node.dataset.follow}?mark=${this.mark}&after=${Math.max(this.after, 0)}`));
      source.addEventListener("output", (event) => this.heard(JSON.parse(event.data)));
      source.addEventListener("end", (event) => this.ended(JSON.parse(event.data)));
      source.addEventListener("error", () => this.lost());
      source.addEventListener("open", () => {
        this.wait = 1000;
        this.lostAt = 0;
      });
    }

    heard({ number, text, mark }) {
      this.wait = 1000;
      if (this.mark !== mark) {
        this.clear();
        if (this.mark) this.missed(); // another process, which begins with what was kept: perhaps not the last words
        this.mark = mark;
        this.after = number - 1;
      }
      if (number > this.after + 1) this.missed();
      this.after = number;
      this.write(text);
    }

    missed() {
      this.hasGap = true;
      document.getElementById("missed").hidden = false;
    }

    clear() {
      this.screen.clear();
      this.steps.clear();
    }

    async lost() {
      this.close();
      this.lostAt ||= Date.now();
      this.timer = setTimeout(() => this.follow(), this.wait);
      this.wait = roci.longer(this.wait, this.lostAt);
      await roci.checkSession().catch(() => false);
    }

    async ended({ missed }) {
      this.close();
      delete this.node.dataset.follow;
      document.body.dispatchEvent(new CustomEvent("live-operations"));
      if (this.hasGap || missed) await this.load();
    }

    // All that is kept.
    async load() {
      const answer = await fetch(this.node.dataset.whole);
      if (!answer.ok) return;
      const text = await answer.text();
      if (!text) return this.missed(); // what was seen is more than what is kept
      this.clear();
      document.getElementById("missed").hidden = true;
      this.write(text);
    }
  }

  // Works on plain http, too, where there is no clipboard to ask for.
  function copy(node) {
    getSelection().selectAllChildren(node);
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }

  const node = document.getElementById("output");
  const said = node.textContent;
  const output = new Output(node);
  const button = document.getElementById("copy");
  button.hidden = false;
  button.addEventListener("click", () => copy(node));
  output.write(said);
  output.isPinned = Boolean(node.dataset.follow);
  document.body.addEventListener("live-silent", () => output.source && output.lost());
  if ("raw" in node.dataset) output.load();
  output.follow();
})();
