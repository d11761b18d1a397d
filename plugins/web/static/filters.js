// Lists that are filtered by a form: as one types, and in the address, so that it can be kept and sent.
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

  for (const form of document.querySelectorAll("form[data-filter]")) {
    if (!window.htmx) continue;
    let timer = 0;
    form.setAttribute("hx-sync", "this:replace");
    for (const button of form.querySelectorAll(".nojs")) button.hidden = true;
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
