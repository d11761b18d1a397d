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
const isChanged = () => !sent && new URLSearchParams(new FormData(role)).toString() !== before;
roci.unsaved.push(isChanged);
window.addEventListener("beforeunload", (event) => {
  if (isChanged()) event.preventDefault();
});
