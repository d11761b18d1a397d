// A list of very many lines of logs, of which only those in sight are in the page.
"use strict";

// --- heights: sums of very many numbers, of which any may change (a binary indexed tree) ---

class Heights {
  constructor() {
    this.count = 0;
    this.each = new Float64Array(1024);
    this.sums = new Float64Array(1025);
  }

  hold(count) {
    if (count <= this.each.length) return;
    const [each, sums] = [this.each, this.sums];
    const size = 2 ** Math.ceil(Math.log2(count));
    this.each = new Float64Array(size);
    this.each.set(each);
    this.sums = new Float64Array(size + 1);
    this.sums.set(sums);
  }

  // Other ones: so many, each by its place.
  fill(count, height) {
    this.hold(count);
    for (let at = 0; at < count; at++) this.each[at] = height(at);
    this.add(count);
  }

  // So many at the beginning go.
  drop(count) {
    this.each.copyWithin(0, count, this.count);
    this.add(this.count - count);
  }

  add(count) {
    this.count = count;
    this.sums.fill(0, 0, count + 1);
    for (let at = 1; at <= count; at++) {
      this.sums[at] += this.each[at - 1];
      const up = at + (at & -at);
      if (up <= count) this.sums[up] += this.sums[at];
    }
  }

  push(height) {
    this.hold(this.count + 1);
    const at = ++this.count;
    this.each[at - 1] = height;
    let sum = height;
    for (let down = at - 1; down > at - (at & -at); down -= down & -down) sum += this.sums[down];
    this.sums[at] = sum;
  }

  // Those from `count` on are forgotten.
  cut(count) {
    this.count = Math.min(this.count, count);
  }

  change(index, height) {
    const by = height - this.each[index];
    this.each[index] = height;
    for (let at = index + 1; at <= this.count; at += at & -at) this.sums[at] += by;
  }

  // Of the first `count`.
  sum(count = this.count) {
    let sum = 0;
    for (let at = Math.min(count, this.count); at > 0; at -= at & -at) sum += this.sums[at];
    return sum;
  }

  // Which one lies so far down.
  at(far) {
    let index = 0;
    for (let step = 2 ** Math.floor(Math.log2(this.count || 1)); step; step >>= 1) {
      if (index + step <= this.count && this.sums[index + step] <= far) {
        index += step;
        far -= this.sums[index];
      }
    }
    return Math.min(index, Math.max(this.count - 1, 0));
  }
}

// --- the list ---

// Shows `lines`, an array that it is told of when it changes. `options` are shared by all lists of a page: wrap, times,
// names, pattern, and `row(line)` for what a row offers beyond its text.
class LineList {
  constructor(frame, options) {
    this.view = frame.querySelector(".logs-view");
    this.space = frame.querySelector(".logs-space");
    this.rows = frame.querySelector(".logs-rows");
    this.options = options;
    this.lines = [];
    this.heights = new Heights();
    this.drawn = new Map(); // line: its row
    this.isFollowing = true;
    this.seen = 0; // where the view was when it was looked at last
    this.onFollow = () => {};
    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(this.view);
    this.measure();
  }

  measure() {
    const probe = this.rows.appendChild(document.createElement("div"));
    probe.className = "logs-row";
    probe.textContent = "0".repeat(50);
    const range = document.createRange();
    range.selectNodeContents(probe);
    this.row = probe.getBoundingClientRect().height || 20;
    this.letter = range.getBoundingClientRect().width / 50 || 8;
    this.width = this.view.clientWidth;
    probe.remove();
  }

  // What measured heights are good for.
  get look() {
    return this.width * 2 + (this.options.wrap ? 1 : 0);
  }

  guess(line) {
    if (line.h && line.w === this.look) return line.h;
    if (!this.options.wrap) return this.row;
    const letters = Math.max((this.width - this.options.indent() * this.letter) / this.letter, 10);
    return this.row * Math.max(1, Math.ceil(Math.min(line.p.length, SHOWN) / letters));
  }

  guessAll() {
    this.heights.fill(this.lines.length, (at) => this.guess(this.lines[at]));
  }

  // Everything is another: a new filter, another width.
  show(lines) {
    this.lines = lines;
    this.guessAll();
    this.forget();
    this.soon();
  }

  // Lines from `from` on are new, or others than before.
  grew(from = this.heights.count) {
    const first = this.heights.at(this.view.scrollTop);
    if (from <= first && !this.isFollowing && this.looked) return this.around(this.looked);
    this.heights.cut(from);
    for (let at = this.heights.count; at < this.lines.length; at++) this.heights.push(this.guess(this.lines[at]));
    this.soon();
  }

  // So many at the beginning are gone; what is looked at stays where it is.
  dropped(count) {
    const off = this.view.scrollTop;
    const gone = this.heights.sum(count);
    this.heights.drop(count);
    this.space.style.height = `${this.heights.sum()}px`;
    if (!this.isFollowing) this.scrollTo(Math.max(off - gone, 0));
    this.soon();
  }

  // Lines came in before the one at the upper edge: it stays there.
  around({ line, off }) {
    this.guessAll();
    this.space.style.height = `${this.heights.sum()}px`;
    this.scrollTo(this.heights.sum(Math.max(this.lines.indexOf(line), 0)) + off);
    this.soon();
  }

  forget() {
    this.rows.replaceChildren();
    this.drawn.clear();
  }

  resized() {
    if (this.view.clientWidth === this.width) return this.soon();
    this.measure();
    return this.again();
  }

  // The same lines look different.
  again() {
    const anchor = this.lines[this.heights.at(this.view.scrollTop)];
    this.show(this.lines);
    if (!this.isFollowing && anchor) this.reveal(anchor, 0);
  }

  soon() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    const full = this.view.clientHeight;
    if (!full) return;
    for (let turn = 0; turn < 3; turn++) {
      const total = this.heights.sum();
      this.space.style.height = `${total}px`;
      if (this.isFollowing) this.scrollTo(Math.max(total - full, 0));
      if (!this.drawRows(this.view.scrollTop, full)) break;
    }
    const first = this.heights.at(this.view.scrollTop);
    this.looked = this.lines[first] && { line: this.lines[first], off: this.view.scrollTop - this.heights.sum(first) };
  }

  // Draws what is in sight; whether a height was another than thought.
  drawRows(top, full) {
    const first = Math.max(this.heights.at(top) - 6, 0);
    const last = Math.min(this.heights.at(top + full) + 7, this.lines.length);
    const wanted = new Map();
    let before = null;
    for (let at = first; at < last; at++) {
      const line = this.lines[at];
      const row = this.drawn.get(line) || this.drawRow(line);
      wanted.set(line, row);
      if (row.parentNode !== this.rows || row.previousSibling !== before) this.rows.insertBefore(row, before ? before.nextSibling : this.rows.firstChild);
      before = row;
    }
    for (const [line, row] of this.drawn) if (!wanted.has(line)) row.remove();
    this.drawn = wanted;
    this.rows.style.transform = `translateY(${this.heights.sum(first)}px)`;
    return this.measured(first, last, top);
  }

  measured(first, last, top) {
    if (!this.options.wrap && !this.lines.slice(first, last).some((line) => line.o)) return false;
    let changed = false;
    let above = 0;
    const looked = this.heights.at(top);
    const heights = this.lines.slice(first, last).map((line) => this.drawn.get(line).getBoundingClientRect().height);
    heights.forEach((height, index) => {
      const at = first + index;
      const by = height - this.heights.each[at];
      [this.lines[at].h, this.lines[at].w] = [height, this.look];
      if (Math.abs(by) < 0.5) return;
      if (at < looked) above += by;
      this.heights.change(at, height);
      changed = true;
    });
    if (above && !this.isFollowing) this.scrollTo(this.view.scrollTop + above);
    return changed;
  }

  drawRow(line) {
    const { options } = this;
    const row = document.createElement("div");
    row.className = `logs-row${line.l ? ` is-${LEVELS[line.l]}` : ""}${line.e ? " is-stderr" : ""}${options.looked === line ? " is-looked" : ""}`;
    const [day, time] = options.times ? clock(line) : ["", ""];
    if (options.times) {
      const when = row.appendChild(document.createElement("span"));
      when.className = "when";
      when.title = line.s;
      if (day) when.append(Object.assign(document.createElement("span"), { className: "day", textContent: `${day} ` }), time);
    }
    if (options.names) {
      const name = row.appendChild(document.createElement("span"));
      name.className = `whose whose-${line.c % 10}`;
      [name.textContent, name.title] = [options.names[line.c], options.labels[line.c]];
    }
    const text = row.appendChild(document.createElement("span"));
    text.className = "text";
    options.row(line, row, text);
    return row;
  }

  redraw(line) {
    const row = this.drawn.get(line);
    line.h = 0;
    if (!row) return;
    this.drawn.delete(line);
    const at = this.lines.indexOf(line, Math.max(this.heights.at(this.view.scrollTop) - 300, 0));
    row.remove();
    if (at >= 0) this.heights.change(at, this.guess(line));
    this.draw();
  }

  scrollTo(top) {
    this.view.scrollTop = top;
    this.seen = this.view.scrollTop;
  }

  scrolled() {
    const top = this.view.scrollTop;
    const isAtEnd = top + this.view.clientHeight >= this.heights.sum() - this.row;
    if (isAtEnd && top > this.seen) this.follow(true);
    else if (top < this.seen - 1) this.follow(false);
    this.seen = top;
    this.soon();
    if (top < this.row * 3 && !this.isFollowing) this.onTop?.();
  }

  follow(is) {
    if (this.isFollowing !== is) {
      this.isFollowing = is;
      this.onFollow(is);
    }
    if (is) this.soon();
  }

  // Put a line so many rows below the upper edge.
  reveal(line, below = 5) {
    const at = this.lines.indexOf(line);
    if (at < 0) return;
    this.follow(false);
    this.space.style.height = `${this.heights.sum()}px`;
    this.scrollTo(Math.max(this.heights.sum(at) - below * this.row, 0));
    this.soon();
  }
}
