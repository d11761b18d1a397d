// Lists that are filtered as one types, by the form with the id `filter`: an answer that is late, to a filter that was
// there before or to a renewal that began before, does not undo the filter of now.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("filter");
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { target, pathInfo } = event.detail;
    if (`#${target.id}` !== form.getAttribute("hx-target")) return;
    const asked = new URL(pathInfo.finalRequestPath, location.href).searchParams;
    const isOld = [...new FormData(form)].some(([name, value]) => (asked.get(name) ?? "") !== value);
    if (isOld) event.detail.shouldSwap = false;
  });
});
