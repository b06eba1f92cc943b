// The live part of the panel. Without it every page works all the same.
"use strict";

(() => {
  const MOST = 12;

  // A page that the browser kept is not shown again as it was: it asks the server.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  const panel = document.querySelector("aside.panel[data-live]");
  const details = document.getElementById("session-details");
  const list = document.getElementById("happenings");
  const hint = document.getElementById("happenings-hint");
  if (!panel || !details || !list || !("EventSource" in window)) return;

  const say = (text, over) => {
    const item = document.createElement("li");
    const at = document.createElement("span");
    at.textContent = new Date().toLocaleTimeString();
    item.append(at, text);
    item.className = over ? "new over" : "new";
    list.prepend(item);
    while (list.children.length > MOST) list.lastElementChild.remove();
  };

  const source = new EventSource("/live");
  source.addEventListener("session", (event) => {
    const fragment = new DOMParser().parseFromString(event.data, "text/html");
    details.replaceChildren(...fragment.body.childNodes);
  });
  source.addEventListener("happened", (event) => say(event.data, false));
  source.addEventListener("ended", (event) => {
    source.close();
    say(event.data, true);
    hint.textContent = "";
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "Load the page anew";
    hint.append(link);
  });
  addEventListener("pagehide", () => source.close());
})();
