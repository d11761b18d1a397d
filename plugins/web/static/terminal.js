// Terminals: each is a sheet with a screen and a socket of its own. What is typed waits here until the host has taken
// what came before it, and the server is told what was shown; so neither a paste nor a flood piles up anywhere.
"use strict";

(() => {
  const root = document.getElementById("terminals");
  if (!root || !window.Terminal || !window.FitAddon) return;

  const WINDOW = 12; // pieces of input under way; the server allows a few more
  const PIECE = 2048; // characters of one
  const screens = document.getElementById("screens");
  const another = document.getElementById("another");
  const sheets = document.getElementById("sheets");
  const opener = document.getElementById("opener"); // it says on which host terminals are opened now
  const state = document.getElementById("term-state");
  const keys = document.getElementById("term-keys");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 48rem)");
  const all = [];
  let current = null;
  let ctrl = false;

  const COLOURS = {
    light: ["#1b1f26", "#b3152f", "#16703a", "#7a5600", "#1559c7", "#8a2b9e", "#0b6b7a", "#5b6472"],
    dark: ["#353b46", "#ff8a98", "#6fd08c", "#f0c060", "#7fb0ff", "#d7a0ee", "#66ccdd", "#e4e7ec"],
  };
  const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

  function theme() {
    const { backgroundColor, color } = getComputedStyle(screens);
    const found = { background: backgroundColor, foreground: color, cursor: color, cursorAccent: backgroundColor };
    found.selectionBackground = dark.matches ? "#3d5a8a" : "#b9d2ff";
    COLOURS[dark.matches ? "dark" : "light"].forEach((colour, index) => {
      found[NAMES[index]] = colour;
      found[`bright${NAMES[index][0].toUpperCase()}${NAMES[index].slice(1)}`] = colour;
    });
    return found;
  }

  class Sheet {
    constructor(wish, button) {
      this.wish = wish; // what to open anew: container, shell, name
      this.host = opener.dataset.host; // where it is, for good
      this.path = opener.dataset.socket;
      this.id = button?.dataset.terminal || "";
      this.button = button || this.makeButton();
      this.button.addEventListener("click", () => this.select());
      this.said = [];
      this.pending = ""; // typed, and not sent yet
      this.under = []; // pieces that were sent and not taken
      this.seq = 0;
      this.replaying = 0;
      this.wait = 500;
      this.isOver = false;
      this.makeScreen();
      all.push(this);
    }

    makeButton() {
      const item = sheets.appendChild(document.createElement("li"));
      const button = item.appendChild(document.createElement("button"));
      button.type = "button";
      button.className = "sheet";
      button.textContent = this.wish.name || this.wish.container || opener.elements.container.selectedOptions[0]?.text || "";
      return button;
    }

    makeScreen() {
      this.screen = document.createElement("div");
      this.screen.className = "screen";
      this.screen.hidden = true;
      screens.append(this.screen);
      this.term = new Terminal({
        cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
        fontFamily: "ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
        fontSize: narrow.matches ? 12 : 14,
        scrollback: 5000,
        minimumContrastRatio: 4.5,
        theme: theme(),
      });
      this.fit = new FitAddon.FitAddon();
      this.term.loadAddon(this.fit);
      this.term.onData((data) => this.typed(data));
      this.term.onResize(() => this.say({ type: "resize", ...this.size() }));
      this.term.attachCustomKeyEventHandler((event) => this.isForScreen(event));
    }

    isForScreen(event) {
      if (!(event.ctrlKey && event.shiftKey) || event.type !== "keydown") return true;
      if (event.code === "KeyC") {
        event.preventDefault();
        copy(this.term.getSelection());
        return false;
      }
      if (event.code === "Space") {
        event.preventDefault();
        keys.querySelector("button").focus();
        return false;
      }
      return event.code !== "KeyV"; // the browser pastes
    }

    size() {
      return { rows: this.term.rows, cols: this.term.cols };
    }

    select() {
      current = this;
      screens.hidden = keys.hidden = another.open = false;
      for (const each of all) {
        each.screen.hidden = each !== this;
        if (each === this) each.button.setAttribute("aria-current", "true");
        else each.button.removeAttribute("aria-current");
      }
      this.button.scrollIntoView({ block: "nearest", inline: "nearest" });
      if (!this.term.element) this.term.open(this.screen);
      fitAll();
      if (!this.socket && !this.isOver) this.connect();
      if (this.id) history.replaceState(null, "", `${location.pathname}#${this.id}`);
      this.showState();
      this.term.focus();
    }

    // --- the socket ---

    connect() {
      clearTimeout(this.timer);
      const scheme = location.protocol === "https:" ? "wss:" : "ws:";
      const socket = (this.socket = new WebSocket(`${scheme}//${location.host}${this.path}`));
      const mine = (work) => (event) => socket === this.socket && work(event);
      socket.addEventListener("open", mine(() => this.ask()));
      socket.addEventListener("message", mine((event) => this.heard(JSON.parse(event.data))));
      socket.addEventListener("close", mine((event) => this.lost(event)));
      this.tell("connecting");
    }

    ask() {
      const { container, shell, name } = this.wish;
      const wish = this.id ? { terminal: this.id } : { container: container || null, shell, name };
      this.socket.send(JSON.stringify({ type: "open", ...wish, ...this.size() }));
    }

    say(frame) {
      if (this.isAttached && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
    }

    heard(frame) {
      const kinds = {
        attached: () => this.attached(frame),
        output: () => this.show(frame),
        taken: () => this.taken(frame.taken),
        here: () => this.tell(frame.here ? "" : "away"),
        ended: () => this.over(frame.exit_code === null ? "closed" : "ended", frame),
        refused: () => this.over("refused", frame),
        replaced: () => this.leave("replaced"),
      };
      kinds[frame.type]?.();
    }

    attached({ terminal, name, received }) {
      this.isAttached = true;
      this.wait = 500;
      this.id = terminal;
      this.button.textContent = name;
      this.button.dataset.terminal = terminal;
      if (current === this) history.replaceState(null, "", `${location.pathname}#${terminal}`);
      this.term.reset();
      this.under = this.under.filter((piece) => piece.seq > received);
      this.seq = Math.max(this.seq, received);
      for (const piece of this.under) this.say({ type: "input", ...piece });
      this.flush();
      this.tell("");
    }

    show({ data, at, again }) {
      if (again) this.replaying += 1;
      this.term.write(data, () => {
        if (again) this.replaying -= 1;
        this.say({ type: "shown", at });
      });
    }

    lost(event) {
      this.socket = null;
      this.isAttached = false;
      if (this.isOver || this.isElsewhere) return;
      if (event.reason && event.code === 1008) return this.over("closed", { reason: event.reason });
      this.tell("again");
      roci.checkSession().catch(() => false);
      this.timer = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, 8000);
    }

    drop() {
      const socket = this.socket;
      this.lost({});
      socket.close();
    }

    leave(word) {
      this.isElsewhere = true;
      this.tell(word);
    }

    over(word, { exit_code: code, reason }) {
      this.isOver = true;
      this.id = "";
      this.button.classList.add("over");
      this.term.options.cursorBlink = false;
      const text = (reason || "").replace(/\.$/, "");
      this.tell(word, (words) => words.replace("{code}", () => code).replace("{reason}", () => text));
    }

    // --- what is typed ---

    typed(data) {
      if (this.replaying || this.isOver) return; // screens that are shown again ask their old questions again
      this.type(ctrl && data.length === 1 ? withCtrl(data) : data);
    }

    type(data) {
      this.pending += data;
      this.flush();
    }

    flush() {
      while (this.isAttached && this.pending && this.under.length < WINDOW) {
        let length = Math.min(PIECE, this.pending.length);
        if (length < this.pending.length && /[\ud800-\udbff]/.test(this.pending[length - 1])) length -= 1;
        const data = this.pending.slice(0, length).toWellFormed?.() ?? this.pending.slice(0, length);
        this.pending = this.pending.slice(length);
        const piece = { seq: (this.seq += 1), data };
        this.under.push(piece);
        this.say({ type: "input", ...piece });
      }
    }

    taken(seq) {
      this.under = this.under.filter((piece) => piece.seq > seq);
      this.flush();
    }

    // --- how it is ---

    tell(word, fill = (words) => words) {
      this.said = [word, word && fill(root.dataset[word])];
      if (current === this) this.showState();
    }

    // The application went to another host, and this stays where it is.
    moved() {
      const { host: there, socket } = opener.dataset;
      if (!socket || socket === this.path) return "";
      return root.dataset.moved.replace("{here}", () => this.host).replace("{there}", () => there);
    }

    showState() {
      const [word, told] = this.said;
      const words = [told, this.moved()].filter(Boolean).join(" ");
      const button = state.querySelector("button");
      state.hidden = !words;
      state.querySelector("span").textContent = words;
      button.hidden = !((this.isOver && opener.dataset.socket) || word === "replaced");
      button.textContent = word === "replaced" ? root.dataset.take : root.dataset.restart;
      fitAll();
    }

    restart() {
      if (this.isElsewhere) {
        this.isElsewhere = false;
        return this.connect();
      }
      const next = new Sheet(this.wish, null);
      this.button.parentElement.replaceWith(next.button.parentElement);
      this.forget();
      next.select();
    }

    close() {
      this.say({ type: "close" });
      this.isOver = true;
      this.button.parentElement.remove();
      this.forget();
      const next = all[all.length - 1];
      if (next) return next.select();
      current = null;
      screens.hidden = keys.hidden = state.hidden = another.open = true;
      history.replaceState(null, "", location.pathname);
      opener.querySelector("button").focus();
    }

    forget() {
      clearTimeout(this.timer);
      all.splice(all.indexOf(this), 1);
      const socket = this.socket;
      this.socket = null;
      socket?.close();
      this.term.dispose();
      this.screen.remove();
    }
  }

  // --- keys and the clipboard ---

  const SEQUENCES = { esc: "\x1b", tab: "\t" };
  const ARROWS = { up: "A", down: "B", right: "C", left: "D" };

  function press(key) {
    if (key === "ctrl") return setCtrl(!ctrl);
    const arrow = ARROWS[key];
    const lead = current.term.modes.applicationCursorKeysMode && !ctrl ? "\x1bO" : ctrl ? "\x1b[1;5" : "\x1b[";
    current.type(arrow ? lead + arrow : SEQUENCES[key]);
    setCtrl(false);
    current.term.scrollToBottom();
  }

  function setCtrl(on) {
    ctrl = on;
    keys.querySelector('[data-key="ctrl"]').setAttribute("aria-pressed", String(on));
  }

  function withCtrl(data) {
    setCtrl(false);
    const code = data.toUpperCase().charCodeAt(0);
    return code >= 64 && code < 96 ? String.fromCharCode(code & 31) : data;
  }

  // The clipboard of browsers is for pages by https only; copying works without it, too.
  function copy(text) {
    if (!text) return;
    if (navigator.clipboard) return void navigator.clipboard.writeText(text).catch(() => copyByHand(text));
    copyByHand(text);
  }

  function copyByHand(text) {
    const box = root.appendChild(document.createElement("textarea"));
    box.className = "hidden";
    box.value = text;
    box.select();
    document.execCommand("copy");
    box.remove();
    current?.term.focus();
  }

  const DEEDS = {
    copy: () => copy(current.term.getSelection()),
    paste: async () => current.term.paste(await navigator.clipboard.readText().catch(() => "")),
    close: () => current.close(),
  };

  keys.addEventListener("pointerdown", (event) => event.preventDefault()); // the keyboard of a phone stays
  keys.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !current) return;
    if (button.dataset.key) press(button.dataset.key);
    else DEEDS[button.dataset.do]();
    current?.term.focus();
  });
  keys.querySelector('[data-do="paste"]').hidden = !navigator.clipboard?.readText;
  state.querySelector("button").addEventListener("click", () => current?.restart());

  // --- how large the screen is ---

  function fitAll() {
    if (screens.hidden) return;
    const height = window.visualViewport?.height ?? window.innerHeight;
    const isCramped = narrow.matches && height < 500; // the keyboard of a phone is there: the screen gets the rest
    const top = isCramped ? 8 : screens.getBoundingClientRect().top + window.scrollY;
    const below = keys.offsetHeight + (state.hidden ? 0 : state.offsetHeight) + 36;
    screens.style.height = `${Math.max(height - top - below, 160)}px`;
    if (current?.term.element) current.fit.fit();
    if (isCramped) screens.scrollIntoView({ block: "start" });
  }

  let planned = 0;
  function fitSoon() {
    cancelAnimationFrame(planned);
    planned = requestAnimationFrame(fitAll);
  }
  window.addEventListener("resize", fitSoon);
  another.addEventListener("toggle", fitSoon);
  window.visualViewport?.addEventListener("resize", fitSoon);
  document.fonts?.ready.then(fitSoon);

  dark.addEventListener("change", () => {
    for (const each of all) each.term.options.theme = theme();
  });

  function again() {
    for (const each of all) if (!each.socket && !each.isOver && !each.isElsewhere && each.term.element) each.connect();
  }
  // The page's own stream fell silent: sockets that still seem open are as dead.
  document.body.addEventListener("live-silent", () => {
    for (const each of all) if (each.socket) each.drop();
  });
  window.addEventListener("online", again);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && again());

  let place = opener.dataset.socket;
  document.body.addEventListener("htmx:afterSwap", () => {
    if (opener.dataset.socket === place) return;
    place = opener.dataset.socket;
    current?.showState();
  });

  // --- at the beginning ---

  opener.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    event.target.elements.name.value = "";
    new Sheet(given, null).select();
  });

  for (const button of sheets.querySelectorAll("button")) {
    const { container, shell } = button.dataset;
    new Sheet({ container, shell, name: "" }, button);
  }
  const { wanted } = root.dataset;
  if (wanted) new Sheet({ container: wanted, shell: "", name: "" }, null).select();
  else (all.find((each) => each.id === location.hash.slice(1)) || all[all.length - 1])?.select();
})();
