// Keyboard: `/` searches, J and K walk the rows ([data-row]), Enter opens one, X picks one, Escape leaves a field. An element with
// data-key is pressed by its key. Single keys never act while something is being typed, and can be turned off (WCAG 2.1.4).
const isTyping = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const isOn = () => document.documentElement.dataset.shortcuts !== "off";
const rows = () => [...document.querySelectorAll("[data-row]")];
const current = () => document.querySelector('[data-row][aria-current="true"]');

function go(step) {
  const all = rows();
  if (!all.length) return;
  const from = all.indexOf(current());
  const next = all[Math.min(Math.max(from + step, 0), all.length - 1)];
  current()?.removeAttribute("aria-current");
  next.setAttribute("aria-current", "true");
  (next.querySelector("[data-open]") ?? next).focus();
  next.scrollIntoView({ block: "nearest" });
  next.dispatchEvent(new CustomEvent("row-walked", { bubbles: true }));
}

// What a key presses in the current row goes before what it presses anywhere.
function pressed(key) {
  const element = current()?.querySelector(`[data-row-key="${CSS.escape(key)}"]`)
    ?? document.querySelector(`dialog[open] [data-key="${CSS.escape(key)}"]`)
    ?? document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  element?.click();
  return Boolean(element);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches("[data-search]")) event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (!isOn() || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "/") {
    const search = document.querySelector("[data-search]");
    search?.focus();
    search?.select();
    if (search) event.preventDefault();
  } else if ((key === "j" || key === "k") && rows().length) {
    go(key === "j" ? 1 : -1);
    event.preventDefault();
  } else if (key === "x" && current()?.querySelector("[data-pick]")) {
    current().querySelector("[data-pick]").click();
    event.preventDefault();
  } else if (key.length === 1 && pressed(key)) {
    event.preventDefault();
  }
});

function follow(focused) {
  const row = focused?.closest("[data-row]");
  if (!row || row === current()) return;
  current()?.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
}

document.addEventListener("focusin", (event) => follow(event.target));
// Focus may have moved before this script was there.
follow(document.activeElement);
