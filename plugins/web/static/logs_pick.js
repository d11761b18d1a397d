// Which containers a page of logs reads: a list to choose from.
"use strict";

// The list to choose from is asked for when it is opened, so it is as things are then.
async function loadPick(details) {
  if (!details.open) return;
  const url = new URL(location.href);
  url.searchParams.set("part", "pick");
  const answer = await fetch(url);
  if (!answer.ok) return;
  const told = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("pick");
  if (told) document.getElementById("pick").replaceWith(told);
  document.getElementById("pick-filter")?.focus();
}

function filterPick(text) {
  const wanted = text.toLowerCase();
  for (const group of document.querySelectorAll("#pick fieldset")) {
    const isNamed = group.dataset.group.toLowerCase().includes(wanted);
    let any = isNamed;
    for (const choice of group.querySelectorAll(".logs-choice")) {
      choice.hidden = !(isNamed || choice.textContent.toLowerCase().includes(wanted));
      any ||= !choice.hidden;
    }
    group.hidden = !any;
  }
}

// Asks for the page with what is ticked, and keeps the address short: hosts of which nothing is chosen are not in it.
function choose(form) {
  const query = new URLSearchParams();
  let host = null;
  for (const [name, value] of new FormData(form)) {
    if (name === "host") host = value;
    else if (name === "container") {
      if (host) query.append("host", host);
      host = null;
      query.append("container", value);
    }
  }
  for (const name of ["q", "re", "level"]) {
    const kept = new URLSearchParams(location.search).get(name);
    if (kept) query.set(name, kept);
  }
  location.assign(`${location.pathname}?${query}`);
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("logs-pick");
  const details = form.querySelector("details");
  let isFresh = details.open; // it came with the page
  details.addEventListener("toggle", () => {
    if (!isFresh) loadPick(details);
    isFresh = false;
  });
  form.addEventListener("input", (event) => event.target.id === "pick-filter" && filterPick(event.target.value));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(form);
  });
});
