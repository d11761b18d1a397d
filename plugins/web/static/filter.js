// Filters the rows of a table on this page as one types: <input data-filter="the id of what the table is in">. What is
// filtered stays so when the table is renewed.
"use strict";

(() => {
  const holds = (text, words) => words.every((word) => text.includes(word));

  const apply = (input) => {
    const words = input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const rows = document.getElementById(input.dataset.filter)?.querySelectorAll("tbody tr") ?? [];
    let shown = 0;
    for (const row of rows) {
      row.hidden = words.length > 0 && !holds(row.textContent.toLocaleLowerCase(), words);
      if (!row.hidden) shown += 1;
    }
    const none = input.closest(".rows-filter").querySelector("[data-filter-none]");
    none.hidden = shown > 0 || rows.length === 0;
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("[data-filter]")) {
      input.closest(".rows-filter").hidden = false;
      input.addEventListener("input", () => apply(input));
      document.body.addEventListener("htmx:afterSwap", () => apply(input));
      apply(input);
    }
  });
})();
