// The editor of an application: asks before it lets go of what was typed.
"use strict";

function guard(form) {
  let changed = false;
  roci.unsaved.push(() => changed);
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector('button[name="then"][value=""]'));
    }
  });
}

document.querySelectorAll("form[data-guard]").forEach(guard);
