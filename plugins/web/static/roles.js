// The form of a role: who grants all of a noun grants each of it, and that is shown.
"use strict";

for (const all of document.querySelectorAll("input[data-all]")) {
  const each = document.querySelectorAll(`input[data-of="${all.dataset.all}"]`);
  const show = () => each.forEach((box) => (box.disabled = all.checked));
  all.addEventListener("change", show);
  show();
}

const role = document.getElementById("role");
const before = new URLSearchParams(new FormData(role)).toString();
let sent = false;
role.addEventListener("submit", () => (sent = true));
roci.unsaved.push(() => !sent && new URLSearchParams(new FormData(role)).toString() !== before);
