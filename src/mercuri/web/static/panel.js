// A contact beside the list. The name of a row, or Space on it, opens the panel; J and K walk on while it is open; Escape closes it
// and gives the focus back to the row. The address carries it (?open=7), so that it can be kept, sent and gone back to. On a narrow
// screen, or with a key for a new tab, the name leads to the whole page as any link does.
const panel = () => document.getElementById("panel");
const shown = () => panel()?.querySelector("[data-contact]")?.dataset.contact ?? "";
const link = (id) => document.querySelector(`#contact-${CSS.escape(id)} [data-panel]`);
const isWide = matchMedia("(min-width: 1000px)");
let takesFocus = false;

// The row of the contact in the panel is the one that J and K go on from, also once it was painted anew.
function mark() {
  const row = shown() && link(shown())?.closest("tr");
  if (row && !document.querySelector('[data-row][aria-current="true"]')) row.setAttribute("aria-current", "true");
}

function address(id) {
  const query = location.search.slice(1).split("&").filter((part) => part && !part.startsWith("open="));
  if (id) query.push(`open=${id}`);
  return location.pathname + (query.length ? `?${query.join("&")}` : "");
}

function load(id) {
  window.htmx.ajax("GET", `/contacts/${id}`, { target: "#panel", swap: "innerHTML" });
}

function open(id) {
  if (shown() === id) {
    panel().focus();
    return;
  }
  history[shown() ? "replaceState" : "pushState"]({}, "", address(id));
  takesFocus = true;
  load(id);
}

function close() {
  const id = shown();
  panel().replaceChildren();
  history.replaceState({}, "", address(""));
  link(id)?.focus();
}

document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-panel]");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (name && panel() && isPlain && isWide.matches) {
    event.preventDefault();
    open(name.dataset.panel);
  }
  if (event.target.closest("[data-panel-close]")) {
    event.preventDefault();
    close();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === " " && event.target.matches("[data-panel]")) {
    event.preventDefault();
    event.target.click();
  }
  const isElsewhere = event.defaultPrevented || event.target.closest("dialog, details[open], input, select, textarea");
  if (event.key === "Escape" && shown() && !isElsewhere) close();
});

document.addEventListener("row-walked", (event) => {
  const name = event.target.querySelector("[data-panel]");
  if (!name || !shown()) return;
  history.replaceState({}, "", address(name.dataset.panel));
  load(name.dataset.panel);
});

// At once, not when all has settled: a key pressed in between would walk on from the first row.
document.body.addEventListener("htmx:afterSwap", mark);

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target === panel()) {
    panel().scrollTop = 0;
    if (takesFocus) panel().focus({ preventScroll: true });
    takesFocus = false;
  }
  // A search or a sync painted the list anew, under its own address.
  if (event.target.id === "list" && shown()) history.replaceState({}, "", address(shown()));
  // What was changed in the panel is changed in its row.
  const id = shown();
  if (event.detail.requestConfig?.verb === "post" && panel()?.contains(event.target) && link(id))
    window.htmx.ajax("GET", address(""), { target: `#contact-${id}`, swap: "outerHTML" });
});

window.addEventListener("popstate", () => {
  const id = new URLSearchParams(location.search).get("open");
  if (!panel() || id === shown()) return;
  if (id) load(id);
  else panel().replaceChildren();
});

mark();
