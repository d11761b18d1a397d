// Small things that pages do beyond being read: times as the reader has them, output as it comes, an editor that asks
// before it lets go, and a word when the page is not live.
"use strict";

function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.dateTime;
      time.textContent = at.toLocaleString();
    }
  }
}

function follow(output) {
  const atEnd = () => output.scrollHeight - output.scrollTop - output.clientHeight < 40;
  const source = new EventSource(output.dataset.follow);
  let begun = false;
  source.addEventListener("output", (event) => {
    const stay = atEnd();
    if (!begun) {
      output.textContent = "";
      begun = true;
    }
    output.append(JSON.parse(event.data).data);
    if (stay) output.scrollTop = output.scrollHeight;
  });
  source.addEventListener("end", () => source.close());
}

function guard(form) {
  let changed = false;
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

document.addEventListener("DOMContentLoaded", () => {
  localTimes(document);
  document.querySelectorAll("[data-follow]").forEach(follow);
  document.querySelectorAll("form[data-guard]").forEach(guard);
  const link = document.getElementById("link");
  document.body.addEventListener("htmx:sseError", () => { link.hidden = false; });
  document.body.addEventListener("htmx:sseOpen", () => { link.hidden = true; });
  document.body.addEventListener("htmx:afterSwap", (event) => localTimes(document.getElementById(event.target.id) || document));
});
