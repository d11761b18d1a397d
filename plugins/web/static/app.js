// What every page does beyond being read: it hears what changed and renews those parts of itself, shows times as the
// reader has them, and says when it is not live or its reader is signed out. Scripts of single pages use `roci`.
"use strict";

const SILENCE = 40000; // milliseconds without a word, after which a connection counts as lost
const AGAIN = 5000; // milliseconds after which what could not be renewed is asked for again; each time twice as long
const AGAIN_AT_MOST = 60000;
const LEAVING = 10000; // milliseconds in which the answer to a form is awaited

const roci = {
  // Times in the reader's own zone and words.
  localTimes(within) {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = time.dateTime;
        time.textContent = at.toLocaleString(document.documentElement.lang);
      }
    }
  },

  // Milliseconds until the next attempt to connect: a server that restarts is back soon, one that is away for long is not.
  longer(wait, since) {
    return Math.min(wait * 2, Date.now() - since < 60000 ? 3000 : 15000);
  },

  // Whether something typed would be lost: scripts of editors put their questions here.
  unsaved: [],

  isUnsaved() {
    return roci.unsaved.some((ask) => ask());
  },

  // Asks the server who is there. Tells the reader, and gives all forms the token of the present stay.
  async checkSession() {
    const answer = await fetch("/token", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(5000) });
    document.getElementById("signed-out").hidden = answer.status !== 401;
    if (!answer.ok) return false;
    const { token } = await answer.json();
    for (const input of document.querySelectorAll('input[name="token"]')) input.value = token;
    return true;
  },

  // Buttons that copy the line beside them, where the browser lets pages do so.
  copyButtons(within) {
    if (!navigator.clipboard) return;
    for (const button of within.querySelectorAll("[data-copy]")) {
      button.hidden = false;
      button.onclick = async () => {
        await navigator.clipboard.writeText(button.previousElementSibling.textContent);
        button.textContent = button.dataset.copied;
      };
    }
  },

  // Calls `heard(topic)` for each topic of this page that changed; see live.py.
  onLive(heard) {
    document.body.addEventListener("live", (event) => heard(event.detail));
  },

  // What this page shows, by a name for it, is not there any more, or it is again.
  gone: new Set(),

  isGone(what, is) {
    roci.gone[is ? "add" : "delete"](what);
    document.getElementById("gone").hidden = !roci.gone.size;
  },

  // This topic changed: its parts renew themselves.
  tell(topic) {
    document.body.dispatchEvent(new CustomEvent(`live-${topic.replaceAll("/", "-")}`));
    document.body.dispatchEvent(new CustomEvent("live", { detail: topic }));
  },
};

// One stream a page, open while the page can be seen. Whenever it opens, the server tells at once what changed since it
// made the page.
class LiveStream {
  constructor(url) {
    this.url = url;
    this.topics = new URL(url, location.href).searchParams.get("topics").split(",");
    this.source = null;
    this.wait = 1000;
    document.addEventListener("visibilitychange", () => this.follow());
    window.addEventListener("online", () => this.silent());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", () => this.follow());
    this.follow();
  }

  follow() {
    if (document.visibilityState === "hidden") this.close();
    else if (!this.source) this.open();
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    this.source?.close();
    this.source = null;
  }

  open() {
    const source = (this.source = new EventSource(this.url));
    source.addEventListener("ready", (event) => this.ready(JSON.parse(event.data)));
    source.addEventListener("error", () => this.lost());
    source.addEventListener("alive", () => this.heard());
    for (const topic of this.topics) source.addEventListener(topic, () => this.tell(topic));
    this.heard();
  }

  // The server says something every fifteen seconds: a connection that is silent for long is none.
  heard() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.silent(), SILENCE);
  }

  // Other connections of this page are as dead: they hear of it.
  silent() {
    if (!this.source) return;
    document.body.dispatchEvent(new CustomEvent("live-silent"));
    this.lost();
  }

  ready(version) {
    document.getElementById("link").hidden = true;
    this.wait = 1000;
    this.lostAt = 0;
    this.heard();
    const mine = document.querySelector('meta[name="roci-version"]').content;
    if (version !== mine && !roci.isUnsaved()) location.reload();
  }

  async lost() {
    this.close();
    document.getElementById("link").hidden = false;
    this.lostAt ||= Date.now();
    this.timer = setTimeout(() => this.follow(), this.wait);
    this.wait = roci.longer(this.wait, this.lostAt);
    await roci.checkSession().catch(() => false);
  }

  tell(topic) {
    this.heard();
    roci.tell(topic);
  }

  // A renewal did not come off, or was put off: all is asked for again.
  renewIn(wait) {
    clearTimeout(this.renewal);
    this.renewal = setTimeout(() => this.source && this.topics.forEach(roci.tell), wait);
  }
}

// Menus of rows, and the tray of operations, close when one looks elsewhere.
function closeMenus(event) {
  for (const menu of document.querySelectorAll(".drops[open], .tray[open]")) {
    if (event.type === "click" ? !menu.contains(event.target) : event.key === "Escape") menu.open = false;
  }
}
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);

// A question begins where nothing is lost by Enter.
document.addEventListener("toggle", (event) => event.newState === "open" && event.target.querySelector("[data-first]")?.focus(), true);

// What the reader opened, typed, ticked or chose stays so when its part is renewed.
function keepWhatTheReaderDid(callbacks) {
  const changed = { value: (node) => node.value !== node.defaultValue, checked: (node) => node.checked !== node.defaultChecked };
  callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.tagName === "DETAILS") && name !== "selected" && !(node.matches("input, textarea") && changed[name]?.(node));
  const chosen = new WeakMap();
  callbacks.beforeNodeMorphed = (node) => {
    if (node.tagName === "SELECT" && node.selectedOptions.length === 1) chosen.set(node, node.selectedOptions[0].cloneNode(true));
  };
  callbacks.afterNodeMorphed = (node) => {
    const was = chosen.get(node);
    if (!was) return;
    chosen.delete(node);
    const { vanished } = document.body.dataset;
    const still = [...node.options].find((option) => option.value === was.value);
    // Never another one in its place: what was chosen is named, and the form waits for a choice.
    if (still) still.selected = true;
    else {
      was.disabled = was.selected = true;
      node.append(was);
      node.addEventListener("change", () => node.setCustomValidity(""), { once: true });
    }
    node.setCustomValidity(still ? "" : vanished);
  };
}

// Clocks of what is under way: `data-seconds` is how long it took already when the server wrote that.
const clocks = new WeakMap();

function tick() {
  for (const node of document.querySelectorAll("[data-seconds]")) {
    const told = node.dataset.seconds;
    if (clocks.get(node)?.told !== told) clocks.set(node, { told, since: performance.now() - told * 1000 });
    const seconds = Math.floor((performance.now() - clocks.get(node).since) / 1000);
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const parts = hours ? [hours, String(minutes).padStart(2, "0")] : [minutes];
    node.textContent = [...parts, String(seconds % 60).padStart(2, "0")].join(":");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  roci.localTimes(document);
  // Where tabs do not fit, the one that is shown can be seen.
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  setInterval(tick, 1000);
  roci.copyButtons(document);
  if (window.Idiomorph) keepWhatTheReaderDid(Idiomorph.defaults.callbacks);
  const stream = document.body.dataset.live ? new LiveStream(document.body.dataset.live) : null;
  document.body.addEventListener("htmx:afterSwap", (event) => roci.localTimes(document.getElementById(event.target.id) || document));
  // What was removed, or is not for this reader any more, is not shown as if it were as it was.
  const waits = new Map(); // of parts that failed
  document.body.addEventListener("htmx:afterRequest", ({ target, detail: { successful, xhr } }) => {
    if (!target.matches('[hx-trigger*="live-"]')) return;
    if (successful) waits.delete(target.id);
    else if (xhr.status === 0 || xhr.status === 429 || xhr.status >= 500) {
      const wait = waits.get(target.id) ?? AGAIN;
      waits.set(target.id, Math.min(wait * 2, AGAIN_AT_MOST));
      stream?.renewIn(wait);
    }
    roci.isGone(target.id, xhr.status === 403 || xhr.status === 404);
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) roci.checkSession();
  });
  // A form that leads on may have removed what this page is about: until the next page is there, nothing is asked anew.
  // Forms whose answer is a download say data-stays.
  let leavesUntil = 0;
  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && !event.target.matches("[data-stays], [target], [method=dialog]")) leavesUntil = Date.now() + LEAVING;
  });
  window.addEventListener("pageshow", () => (leavesUntil = 0));
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const wait = leavesUntil - Date.now();
    if (wait <= 0) return;
    event.preventDefault();
    stream?.renewIn(wait);
  });
  window.addEventListener("focus", () => {
    if (!document.getElementById("signed-out").hidden) roci.checkSession();
  });
});
