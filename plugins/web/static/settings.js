// Settings are filtered as one types, by all the words of each.
"use strict";

const field = document.querySelector("input[data-filter]");

function filter() {
  const words = field.value.trim().toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section[data-section]")) {
    const own = section.dataset.section.toLowerCase();
    const rows = [...section.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const text = `${own} ${row.textContent.toLowerCase()}`;
      row.hidden = !words.every((word) => text.includes(word));
    }
    section.hidden = rows.every((row) => row.hidden);
  }
  document.getElementById("nothing").hidden = [...document.querySelectorAll("section[data-section]")].some((one) => !one.hidden);
}

field.addEventListener("input", filter);
field.form.addEventListener("submit", (event) => {
  if (document.activeElement === field) event.preventDefault();
});
