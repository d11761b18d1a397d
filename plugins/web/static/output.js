// The output of an operation as it comes.
"use strict";

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

document.querySelectorAll("[data-follow]").forEach(follow);
