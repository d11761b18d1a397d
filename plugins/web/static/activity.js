// Days and times as the reader has them: the page groups entries by days of UTC, which end at another time here.
"use strict";

(() => {
  const lang = document.documentElement.lang;
  const day = new Intl.DateTimeFormat(lang, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

  function heading(name) {
    const item = document.createElement("li");
    item.className = "day";
    item.append(document.createElement("h2"));
    item.firstChild.textContent = name;
    return item;
  }

  function group() {
    const list = document.querySelector("ol.activity");
    for (const item of list.querySelectorAll(".day")) item.remove();
    let name = "";
    for (const entry of list.querySelectorAll(".entry")) {
      const time = entry.querySelector("time");
      const at = new Date(time.dateTime);
      if (day.format(at) !== name) entry.before(heading((name = day.format(at))));
      time.textContent = clock.format(at);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    group();
    document.body.addEventListener("htmx:afterSwap", group);
  });
})();
