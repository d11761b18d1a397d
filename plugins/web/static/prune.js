// Other ticks than those that were looked for: what is shown is of the old ones, so it cannot be removed any more.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("choices").addEventListener("change", () => {
    document.getElementById("preview")?.remove();
  });
});
