// The sync button while a run is live: the server's events carry the rendered part; when they fail, the status is asked for instead.
// Any element with data-events is live: its id is what an event named "run" replaces, and data-poll is where to ask otherwise.
const POLL = 3000;
let source = null;
let address = "";
let timer = 0;

const liveElement = () => document.querySelector("[data-events]");

function paint(html) {
  const old = liveElement() ?? document.getElementById("sync");
  if (!old) return;
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const fresh = holder.content.firstElementChild;
  if (!fresh) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("data-focus") : null;
  if (old.querySelector("details[open]")) fresh.querySelector("details")?.setAttribute("open", "");
  const wasLive = old.hasAttribute("data-events");
  old.replaceWith(fresh);
  window.htmx?.process(fresh);
  if (focused) fresh.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  document.dispatchEvent(new CustomEvent("live:painted"));
  if (wasLive && !fresh.hasAttribute("data-events")) finished();
}

function finished() {
  stop();
  document.body.dispatchEvent(new CustomEvent("sync-finished", { bubbles: true }));
}

function stop() {
  source?.close();
  source = null;
  address = "";
  clearTimeout(timer);
}

async function ask() {
  const element = liveElement();
  if (!element) return;
  try {
    const answer = await fetch(element.dataset.poll, { headers: { "HX-Request": "true" } });
    if (answer.ok) paint(await answer.text());
  } catch {
    // The network is away: the next turn asks again.
  }
  if (liveElement()) timer = setTimeout(ask, POLL);
}

function follow() {
  const element = liveElement();
  if (!element || element.dataset.events === address) return;
  stop();
  address = element.dataset.events;
  source = new EventSource(address);
  source.addEventListener("run", (event) => paint(event.data));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    timer = setTimeout(ask, POLL);
  });
}

follow();
document.body.addEventListener("htmx:afterSettle", follow);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", follow);
