// Lines of logs: what they mean and how they look. Nothing of a line ever becomes markup.
"use strict";

const LEVELS = ["", "trace", "debug", "info", "warn", "error", "fatal"]; // a level is its place here; 0: none found
const SHOWN = 2000; // characters of one line that are shown at once
const LOOKED_AT = 65536; // characters of one line that are searched
const MARK = "\u0002"; // before lines of standard error
const PARTS = 12; // milliseconds of work between two frames

const WORDS = {
  trace: 1, trc: 1, verbose: 1, debug: 2, dbg: 2, debu: 2, info: 3, inf: 3, information: 3, notice: 3, log: 3,
  warn: 4, warning: 4, wrn: 4, error: 5, err: 5, erro: 5, eror: 5, severe: 5, fatal: 6, ftl: 6, crit: 6, critical: 6,
  panic: 6, emerg: 6, alert: 6, dpanic: 6,
};
const FIELD = /(?:^|[\s,{"'])(?:level|lvl|severity|levelname|log\.level|@l)["']?\s*[=:]\s*["']?([A-Za-z]+|[1-6]0\b)/;
const SHOUTED = /(?:^|[^A-Za-z])(TRACE|VERBOSE|DEBUG|DBG|INFO|INF|NOTICE|WARN|WARNING|WRN|ERROR|ERR|SEVERE|FATAL|FTL|CRIT|CRITICAL|PANIC|EMERG|ALERT)(?:[^A-Za-z]|$)/;
const BRACKETED = /[[(<](trace|debug|info|notice|warn|warning|error|err|crit|critical|alert|emerg|fatal)[\])>:]|^(error|warning|fatal|panic):/i;
const KLOG = /^([IWEF])\d{4} \d\d:/;
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

function levelOf(text) {
  const head = text.length > 400 ? text.slice(0, 400) : text;
  const field = FIELD.exec(text.length > 4000 ? text.slice(0, 4000) : text);
  if (field) {
    const word = field[1].toLowerCase();
    if (WORDS[word]) return WORDS[word];
    if (word.endsWith("0")) return Math.min(Number(word) / 10, 6); // as pino counts them
  }
  const klog = KLOG.exec(head);
  if (klog) return { I: 3, W: 4, E: 5, F: 6 }[klog[1]];
  const found = SHOUTED.exec(head) || BRACKETED.exec(head);
  return found ? WORDS[(found[1] || found[2]).toLowerCase()] || 0 : 0;
}

// One line: c its source, s its time as text (it sorts), x its text, p that without colours, l its level, e whether it
// is of standard error, h its height where that was measured, o whether it is opened.
function lineOf(c, raw, before) {
  const isError = raw.startsWith(MARK);
  const at = isError ? 1 : 0;
  const space = raw.indexOf(" ", at);
  const stamp = space > 0 && space - at < 40 ? raw.slice(at, space) : raw.length - at < 40 ? raw.slice(at) : "";
  const isDated = stamp.length > 19 && stamp.endsWith("Z") && stamp.charCodeAt(0) < 58;
  let text = isDated ? (space > 0 ? raw.slice(space + 1) : "") : raw.slice(at);
  const back = text.indexOf("\r"); // a bar of progress: what was printed over it last is what is seen
  if (back >= 0) text = text.replace(/\r+$/, "").slice(text.replace(/\r+$/, "").lastIndexOf("\r") + 1);
  const plain = text.includes("\x1b") ? text.replace(ESCAPES, "") : text;
  const line = { c, s: isDated ? stamp : before?.s || "", x: text, p: plain, l: levelOf(plain), e: isError, h: 0, o: false, isDated };
  // The rest of a trace has the level of its first line.
  if (!line.l && before?.l && /^[\s}\])]|^Caused by|^Traceback|^\.\.\. /.test(plain)) line.l = before.l;
  return line;
}

function timeOf(line) {
  return line.s ? Date.parse(line.s.slice(0, 23) + "Z") : NaN;
}

const two = (number) => String(number).padStart(2, "0");

// The time in the reader's zone: its day, and its hour to the millisecond.
function clock(line) {
  const at = new Date(timeOf(line));
  if (Number.isNaN(at.getTime())) return ["", ""];
  return [
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`,
  ];
}

// --- colours of terminals ---

const STEPS = [0, 95, 135, 175, 215, 255];

function ofPalette(number) {
  if (number < 16) return { name: number };
  if (number > 231) return { rgb: Array(3).fill(8 + (number - 232) * 10) };
  const at = number - 16;
  return { rgb: [STEPS[Math.floor(at / 36)], STEPS[Math.floor(at / 6) % 6], STEPS[at % 6]] };
}

function styled(style, codes) {
  const next = { ...style };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at];
    if (code === 0) for (const key of Object.keys(next)) delete next[key];
    else if (code === 1) next.bold = true;
    else if (code === 2) next.faint = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.under = true;
    else if (code === 22) next.bold = next.faint = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.under = false;
    else if (code >= 30 && code <= 37) next.fore = { name: code - 30 };
    else if (code >= 90 && code <= 97) next.fore = { name: code - 82 };
    else if (code >= 40 && code <= 47) next.back = { name: code - 40 };
    else if (code >= 100 && code <= 107) next.back = { name: code - 92 };
    else if (code === 39) delete next.fore;
    else if (code === 49) delete next.back;
    else if (code === 38 || code === 48) {
      const key = code === 38 ? "fore" : "back";
      if (codes[at + 1] === 5) next[key] = ofPalette((codes[at + 2] || 0) & 255);
      else if (codes[at + 1] === 2) next[key] = { rgb: codes.slice(at + 2, at + 5).map((one) => one & 255) };
      at += codes[at + 1] === 5 ? 2 : 4;
    }
  }
  return next;
}

// The text in pieces of one look each, without its escapes.
function coloured(text) {
  if (!text.includes("\x1b")) return [{ text }];
  const pieces = [];
  let style = {};
  let from = 0;
  for (const found of text.matchAll(ESCAPES)) {
    if (found.index > from) pieces.push({ text: text.slice(from, found.index), style });
    from = found.index + found[0].length;
    if (found[0].endsWith("m") && found[0][1] === "[") style = styled(style, found[0].slice(2, -1).split(";").map(Number));
  }
  if (from < text.length) pieces.push({ text: text.slice(from), style });
  return pieces;
}

// --- JSON ---

function fieldsOf(line) {
  const text = line.p.length > LOOKED_AT ? "" : line.p.trim();
  if (text[0] !== "{" || text[text.length - 1] !== "}") return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const SAID = ["msg", "message", "@m", "event"];
const LEFT_OUT = new Set(["level", "lvl", "severity", "time", "timestamp", "ts", "@t", "@l"]);

// A line of JSON as people read it: what it says, then the other fields.
function spoken(fields) {
  const key = SAID.find((name) => typeof fields[name] === "string");
  const pieces = key ? [{ text: fields[key] }] : [];
  for (const [name, value] of Object.entries(fields)) {
    if (name === key || (key && LEFT_OUT.has(name))) continue;
    pieces.push({ text: `${pieces.length ? " " : ""}${name}=`, kind: "key" });
    pieces.push({ text: typeof value === "string" ? value : JSON.stringify(value) });
  }
  return pieces;
}

function tree(value, left = { nodes: 500 }) {
  const table = document.createElement("div");
  table.className = "logs-tree";
  for (const [name, each] of Object.entries(value)) {
    if (left.nodes-- <= 0) break;
    const row = table.appendChild(document.createElement("div"));
    const key = row.appendChild(document.createElement("span"));
    key.className = "key";
    key.textContent = name;
    if (each && typeof each === "object") row.append(tree(each, left));
    else row.appendChild(document.createElement("span")).textContent = typeof each === "string" ? each : JSON.stringify(each);
  }
  return table;
}

// --- drawing ---

// Puts pieces of text into an element; what `pattern` finds in all of them together is marked.
function write(element, pieces, pattern) {
  const ranges = [];
  if (pattern) {
    const whole = pieces.map((piece) => piece.text).join("");
    for (const found of whole.matchAll(pattern)) {
      if (found[0]) ranges.push([found.index, found.index + found[0].length]);
      if (ranges.length > 200) break;
    }
  }
  let at = 0;
  let next = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    let from = at;
    while (from < end) {
      while (next < ranges.length && ranges[next][1] <= from) next++;
      const range = ranges[next];
      const isIn = range && range[0] <= from;
      const to = Math.min(end, range ? (isIn ? range[1] : range[0]) : end);
      put(element, piece.text.slice(from - at, to - at), piece, isIn);
      from = to;
    }
    at = end;
  }
}

function put(element, text, piece, isMarked) {
  const { style, kind } = piece;
  const look = style && Object.values(style).some(Boolean);
  if (!look && !kind && !isMarked) return element.append(text);
  const span = element.appendChild(document.createElement(isMarked ? "mark" : "span"));
  span.textContent = text;
  if (kind) span.classList.add(kind);
  if (!look) return undefined;
  for (const name of ["bold", "faint", "italic", "under"]) span.classList.toggle(name, Boolean(style[name]));
  paint(span, "fore", style.fore);
  paint(span, "back", style.back);
  return undefined;
}

function paint(span, which, colour) {
  if (!colour) return;
  if (colour.rgb) span.style[which === "fore" ? "color" : "backgroundColor"] = which === "fore" ? `color-mix(in srgb, rgb(${colour.rgb.join(",")}), var(--text) 45%)` : `color-mix(in srgb, rgb(${colour.rgb.join(",")}) 35%, var(--card))`;
  else span.classList.add(`${which}-${colour.name}`);
}
