// Lists that are filtered by a form: as one types, and in the address, so that it can be kept and sent. A renewal that
// began with an earlier filter and is answered late does not undo the filter of now.
"use strict";

(() => {
  const PAUSE = 200; // milliseconds without a key, after which is asked

  function address(form) {
    const given = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) given.append(name, value);
    return given;
  }

  function renew(form) {
    const given = address(form);
    history.replaceState(null, "", given.size ? `?${given}` : location.pathname);
    given.set("part", form.dataset.filter);
    const target = document.getElementById(form.dataset.filter);
    htmx.ajax("GET", `${location.pathname}?${given}`, { source: form, target, swap: "morph:outerHTML" }).catch(() => {});
  }

  function isOld(form, path) {
    const asked = new URL(path, location.href).searchParams;
    const given = new URLSearchParams(location.search);
    return [...new FormData(form).keys()].some((name) => (asked.get(name) ?? "") !== (given.get(name) ?? ""));
  }

  for (const form of document.querySelectorAll("form[data-filter]")) {
    if (!window.htmx) continue;
    let timer = 0;
    form.setAttribute("hx-sync", "this:replace");
    for (const button of form.querySelectorAll(".nojs")) button.hidden = true;
    document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
      if (detail.target.id !== form.dataset.filter || !isOld(form, detail.pathInfo.finalRequestPath)) return;
      detail.shouldSwap = false;
      if (detail.requestConfig.elt !== form) renew(form); // what it was to show is asked for anew
    });
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => renew(form), PAUSE);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(timer);
      renew(form);
    });
  }
})();
