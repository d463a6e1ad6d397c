// Times in the reader's own zone and language, and "4 min ago" that keeps true while the page stays open.
const UNITS = [[60, "min"], [24, "h"], [30, "d"], [12, "mo"], [Infinity, "y"]];
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function ago(at) {
  let span = Math.max(0, (Date.now() - at) / 60000);
  if (span < 0.75) return "just now";
  for (const [size, word] of UNITS) {
    if (span < size) return `${Math.max(1, Math.floor(span))} ${word}`;
    span /= size;
  }
  return "";
}

function paint(root) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const at = new Date(element.dateTime);
    const text = ago(at);
    if (at <= Date.now()) element.textContent = text === "just now" || element.dataset.ago === "bare" ? text : `${text} ago`;
    element.title = full.format(at);
  }
  for (const element of root.querySelectorAll("time[data-moment]")) element.textContent = full.format(new Date(element.dateTime));
}

paint(document);
setInterval(() => paint(document), 30000);
document.body.addEventListener("htmx:afterSwap", () => paint(document));
document.addEventListener("live:painted", () => paint(document));
