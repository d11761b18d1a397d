// Alerts' pages: the time zone of forms is the reader's own until something else is chosen; secrets can be looked at
// while they are typed.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const input of document.querySelectorAll("input[data-zone]")) {
    if (zone && (input.dataset.zone === "always" || input.value === "UTC")) input.value = zone;
  }
  for (const input of document.querySelectorAll('input[name="hosts"]')) {
    const some = input.form.querySelector('input[name="which"][value="some"]');
    if (some) input.addEventListener("change", () => (some.checked = true));
  }
});
