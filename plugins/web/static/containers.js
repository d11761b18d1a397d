// Ticks of containers: they stay when the list is renewed, all of a page are ticked at once, and how many is said.
"use strict";

(() => {
  const ticked = new Set();
  const boxes = () => [...document.querySelectorAll('input[name="picked"]')];

  const tell = () => {
    const here = boxes();
    const count = here.filter((box) => box.checked).length;
    const all = document.getElementById("tick-all");
    if (!all) return;
    all.closest("[data-tick-all]").hidden = false;
    all.checked = count > 0 && count === here.length;
    all.indeterminate = count > 0 && count < here.length;
    for (const button of document.querySelectorAll("[data-acts]")) button.disabled = count === 0;
    document.querySelector("[data-ticked]").textContent = count || "";
  };

  const restore = () => {
    for (const box of boxes()) box.checked = ticked.has(box.value);
    tell();
  };

  const changed = (event) => {
    const box = event.target;
    const these = box.id === "tick-all" ? boxes() : box.name === "picked" ? [box] : [];
    for (const one of these) {
      one.checked = box.checked;
      if (box.checked) ticked.add(one.value);
      else ticked.delete(one.value);
    }
    if (these.length) tell();
  };

  document.addEventListener("DOMContentLoaded", () => {
    restore();
    document.addEventListener("change", changed);
    document.body.addEventListener("htmx:afterSwap", restore);
  });
})();
