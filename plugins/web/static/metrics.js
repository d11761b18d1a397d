// The charts of a host: one line of time for all of them, whose hovering is shared.
"use strict";

const KIBI = 1024;
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function bytes(value) {
  const at = value > 0 ? Math.min(Math.floor(Math.log(value) / Math.log(KIBI)), SIZES.length - 1) : 0;
  const shown = value / KIBI ** Math.max(at, 0);
  return `${shown >= 100 || at <= 0 ? Math.round(shown) : shown.toFixed(1)} ${SIZES[Math.max(at, 0)]}`;
}

const UNITS = {
  percent: (value) => `${value.toFixed(value < 10 ? 1 : 0)} %`,
  bytes,
  rate: (value) => `${bytes(value)}/s`,
  number: (value) => value.toFixed(2),
};
const SETTLED = 5000; // milliseconds of a page's life before it loads itself anew
const FIGURES = { ...UNITS, percent: (value) => `${value.toFixed(1)} %` }; // in the tables there is room

function colour(name) {
  // Canvas does not know light-dark(): an element is asked what it comes to.
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// What lies under the pointer, in words, beside it.
function tip(chart) {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  function show(plot) {
    const { left, top, idx } = plot.cursor;
    box.hidden = idx == null || left < 0;
    if (box.hidden) return;
    const lines = [new Date(plot.data[0][idx] * 1000).toLocaleString(document.documentElement.lang)];
    chart.series.forEach((series, at) => {
      const value = plot.data[at + 1][idx];
      lines.push(`${series.label}: ${value == null ? "–" : UNITS[chart.unit](value)}`);
    });
    box.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    const right = left > plot.over.clientWidth / 2;
    box.style.left = right ? "" : `${left + 12}px`;
    box.style.right = right ? `${plot.over.clientWidth - left + 12}px` : "";
    box.style.top = `${Math.max(0, Math.min(top, plot.over.clientHeight - 60))}px`;
  }
  return { hooks: { init: (plot) => plot.over.append(box), setCursor: show } };
}

// Moments along the bottom, as the reader's language writes them.
function moments(plot, values) {
  const span = plot.scales.x.max - plot.scales.x.min;
  const form = span <= 90000 ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" };
  const say = new Intl.DateTimeFormat(document.documentElement.lang, form);
  return values.map((value) => say.format(value * 1000));
}

function options(chart, width, span) {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: 176,
    cursor: { sync: { key: "host", setSeries: false }, drag: { x: false, y: false } },
    legend: { show: false },
    plugins: [tip(chart)],
    scales: { x: { range: () => span() }, y: { range: (plot, least, most) => [0, chart.unit === "percent" ? Math.max(most ?? 0, 10) : Math.max(most ?? 0, 0.01) * 1.05] } },
    axes: [{ ...axis, values: moments, space: 70 }, { ...axis, size: 64, values: (plot, values) => values.map((value) => UNITS[chart.unit](value)) }],
    series: [{}, ...chart.series.map((series, at) => ({ label: series.label, stroke: colour(`--series-${at % 8}`), width: 1.5, points: { show: chart.times.length < 3 } }))],
  };
}

class Charts {
  constructor(box) {
    this.box = box;
    this.plots = new Map();
    this.asked = Date.now();
    this.load();
    new ResizeObserver(() => this.fit()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.shown && this.draw(this.shown, true));
    if (!("still" in box.dataset)) roci.onLive(() => this.renew());
  }

  async load() {
    const answer = await fetch(this.box.dataset.source, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer) return;
    roci.isGone("charts", answer.status === 403 || answer.status === 404);
    if (answer.ok) this.draw(await answer.json());
    else if (answer.status === 401) roci.checkSession();
  }

  renew() {
    if (Date.now() - this.asked < Number(this.box.dataset.every) * 1000) return;
    this.asked = Date.now();
    this.load();
  }

  draw(told, anew = false) {
    const places = [...this.box.querySelectorAll(".chart-card")].map((card) => card.id);
    const isOther = places.join() !== told.charts.map((chart) => `chart-${chart.name}`).join();
    if (isOther && performance.now() > SETTLED) return location.reload(); // some came, or went
    this.shown = told;
    for (const chart of told.charts.filter(({ name }) => places.includes(`chart-${name}`))) {
      this.figure(chart);
      if (window.uPlot) this.plot(chart, anew);
    }
  }

  plot(chart, anew) {
    const data = [chart.times, ...chart.series.map((series) => series.values)];
    const labels = (all) => JSON.stringify(all.map((series) => series.label));
    const known = this.plots.get(chart.name);
    if (known && !anew && labels(known.series.slice(1)) === labels(chart.series)) return known.setData(data);
    known?.destroy();
    const place = document.querySelector(`#chart-${chart.name} .plot`);
    this.plots.set(chart.name, new uPlot(options(chart, place.clientWidth, () => [this.shown.start, this.shown.end]), data, place));
  }

  // The same in figures, for whoever does not see the lines.
  figure(chart) {
    const rows = chart.series.map((series, at) => {
      const row = document.createElement("tr");
      const name = Object.assign(document.createElement("th"), { scope: "row" });
      name.append(Object.assign(document.createElement("span"), { className: `mark mark-${at % 8}` }), series.label);
      row.append(name);
      const known = series.values.filter((value) => value != null);
      const average = known.reduce((all, value) => all + value, 0) / known.length;
      for (const value of [known.at(-1), Math.min(...known), average, Math.max(...known)]) row.insertCell().textContent = FIGURES[chart.unit](value);
      return row;
    });
    document.querySelector(`#chart-${chart.name} tbody`).replaceChildren(...rows);
  }

  fit() {
    for (const plot of this.plots.values()) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }
}

const charts = document.getElementById("charts");
if (charts) new Charts(charts);
