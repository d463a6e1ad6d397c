// Short messages: they take no focus, stay at least ten seconds when they offer Undo, and wait while pointed at or in focus.
const place = document.getElementById("toasts");
const STAY = 6000;
const STAY_WITH_UNDO = 15000;

function dismissLater(toast) {
  const stay = toast.querySelector("form") ? STAY_WITH_UNDO : STAY;
  let timer = 0;
  const start = () => { timer = setTimeout(() => toast.remove(), stay); };
  const hold = () => clearTimeout(timer);
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("focusout", start);
  start();
}

export function say(text, tone = "") {
  const toast = document.createElement("div");
  toast.className = `toast ${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet small";
  close.dataset.dismiss = "";
  close.textContent = "Close";
  toast.append(words, close);
  place.append(toast);
}

new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) dismissLater(node);
}).observe(place, { childList: true });
for (const toast of place.children) dismissLater(toast);

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("[data-toast], .toast")?.remove();
});
document.body.addEventListener("toast", (event) => say(event.detail.text, event.detail.tone));
document.body.addEventListener("htmx:sendError", () => say("No answer from the server. Nothing was changed; try again.", "bad"));
