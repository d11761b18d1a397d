// The stream of a page of logs: one for all chosen containers. A line that came once does not come again, whatever
// becomes of the connection.
"use strict";

const BEFORE = 120000; // milliseconds before a moment that is opened
const GAP = /… \d+ characters were skipped[^…]*…$/; // how the server says that lines came faster than they were read

function lastBefore(lines, stamp) {
  let [low, high] = [0, lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].s <= stamp) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Puts sorted lines among sorted lines. From which place on they are others than before.
function mergeInto(lines, fresh) {
  if (!fresh.length) return lines.length;
  const from = !lines.length || lines[lines.length - 1].s <= fresh[0].s ? lines.length : lastBefore(lines, fresh[0].s);
  const rest = lines.splice(from);
  let at = 0;
  for (const line of fresh) {
    while (at < rest.length && rest[at].s <= line.s) lines.push(rest[at++]);
    lines.push(line);
  }
  while (at < rest.length) lines.push(rest[at++]);
  return from;
}

// What is read; who extends it takes the lines by `add(lines)` and tells of the rest by `note()`.
class Feed {
  constructor(root) {
    this.root = root;
    this.find = (name) => document.getElementById(`logs-${name}`);
    this.words = Object.fromEntries([...this.find("words").children].map((each) => [each.dataset.word, each.textContent]));
    this.sources = [...this.find("sources").children].map((each) => ({
      host: each.dataset.host, hostname: each.dataset.hostname, name: each.textContent,
      last: "", same: 0, first: "", before: null, skip: null, long: false, ended: null,
    }));
    this.queue = [];
    this.wait = 1000;
    const at = new URLSearchParams(location.search).get("at");
    // Engines tell finer times than a Date holds.
    if (at && !Number.isNaN(Date.parse(at))) this.at = (/^[\d-]+T[\d:.]+Z$/.test(at) ? at : new Date(at).toISOString()).slice(0, -1);
  }

  say(word, values = {}) {
    return Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, () => value), this.words[word]);
  }

  query(of) {
    const { scope, scopeId } = this.root.dataset;
    const query = new URLSearchParams();
    if (scope) query.append(scope, scopeId);
    for (const source of this.sources) {
      if (!scope) query.append("host", source.host);
      query.append("container", source.name);
      for (const [name, value] of of(source)) if (value) query.append(name, value);
    }
    return query;
  }

  open() {
    if (this.stream || document.hidden) return;
    clearTimeout(this.later);
    this.opened = Date.now();
    const early = this.at && new Date(Date.parse(`${this.at.slice(0, 23)}Z`) - BEFORE).toISOString();
    const query = this.query((source) => [["since", source.last || early]]);
    for (const source of this.sources) {
      source.skip = source.last ? { s: source.last, left: source.same } : null;
      source.ended = null;
    }
    const stream = (this.stream = new EventSource(`/logs/stream?${query}`));
    stream.addEventListener("lines", (event) => this.take(JSON.parse(event.data)));
    stream.addEventListener("end", (event) => this.ended(JSON.parse(event.data)));
    stream.addEventListener("over", () => this.close());
    stream.addEventListener("open", () => {
      this.wait = 1000;
      this.lostAt = 0;
      this.isLost = false;
      this.note();
    });
    stream.addEventListener("error", () => this.lost());
  }

  close() {
    clearTimeout(this.later);
    this.stream?.close();
    this.stream = null;
  }

  async lost() {
    this.close();
    this.isLost = true;
    this.note();
    this.lostAt ||= Date.now();
    this.later = setTimeout(() => this.open(), this.wait);
    this.wait = roci.longer(this.wait, this.lostAt);
    await roci.checkSession().catch(() => false);
  }

  // Something changed on a host: what had ended may be back.
  again() {
    if (!this.sources.some((each) => each.ended !== null) || document.hidden) return;
    clearTimeout(this.later);
    const early = Math.max(0, this.opened + 5000 - Date.now());
    this.later = setTimeout(() => {
      this.close();
      this.open();
    }, early);
  }

  ended({ c, reason }) {
    this.sources[c].ended = reason;
    this.note();
  }

  take({ c, lines }) {
    this.queue.push({ c, lines, at: 0 });
    this.pumping ||= setTimeout(() => this.pump());
  }

  // As many as fit between two frames.
  pump() {
    clearTimeout(this.pumping);
    this.pumping = 0;
    if (this.isFiltering) return;
    const until = performance.now() + PARTS;
    const fresh = [];
    while (this.queue.length && performance.now() < until) {
      const [batch] = this.queue;
      const end = Math.min(batch.at + 200, batch.lines.length);
      while (batch.at < end) {
        const line = this.read(batch.c, batch.lines[batch.at++]);
        if (line) fresh.push(line);
      }
      if (batch.at >= batch.lines.length) this.queue.shift();
    }
    if (fresh.length) this.add(fresh);
    if (this.queue.length) this.pumping = setTimeout(() => this.pump(), 8);
  }

  // A line as it came; null for one that is here already, or that goes on one before it.
  read(c, raw) {
    const source = this.sources[c];
    const line = lineOf(c, raw, source.before);
    if (!line.isDated) {
      if (source.skip) return null;
      const gap = raw.endsWith(" …") ? GAP.exec(raw.slice(-200)) : null;
      if (source.long && source.before) {
        source.before.x += gap ? raw.slice(0, -gap[0].length) : raw;
        source.long = raw.length >= LOOKED_AT;
        return gap ? this.read(c, gap[0]) : null;
      }
    }
    source.long = raw.length >= LOOKED_AT;
    if (source.skip) {
      const { skip } = source;
      if (line.s < skip.s || (line.s === skip.s && skip.left-- > 0)) return null;
      source.skip = null;
    }
    if (line.isDated) {
      source.same = line.s === source.last ? source.same + 1 : 1;
      source.last = line.s;
      source.first ||= line.s;
    }
    source.before = line;
    return line;
  }
}
