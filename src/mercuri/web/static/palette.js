// Ctrl-K or Cmd-K: a window to go anywhere by typing. Enter goes to the first entry, the arrows walk them, Escape leaves. Without
// scripts the button in the head leads to the page that holds the same.
const palette = () => document.getElementById("palette");
const entries = () => [...palette().querySelectorAll("[data-entry]")];

function open() {
  const input = palette().querySelector("input");
  palette().showModal();
  input.select();
  input.dispatchEvent(new Event("palette-opened"));
}

document.addEventListener("keydown", (event) => {
  if (!palette()) return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) open();
  } else if (palette().open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const stops = [palette().querySelector("input"), ...entries()];
    const step = event.key === "ArrowDown" ? 1 : -1;
    stops.at((stops.indexOf(document.activeElement) + step) % stops.length).focus();
  } else if (event.key === "Enter" && event.target.matches("#palette input")) {
    event.preventDefault();
    // What is typed faster than it is answered is not in the list yet: the first answer is waited for.
    if (event.target.closest("dialog").dataset.for === event.target.value) entries()[0]?.click();
    else event.target.dataset.go = "";
  }
});

document.addEventListener("input", (event) => {
  if (event.target.matches("#palette input")) delete event.target.dataset.go;
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-palette]");
  if (!button || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  open();
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (!event.target.matches("#palette .palette")) return;
  const input = palette().querySelector("input");
  palette().dataset.for = new URL(event.detail.xhr.responseURL).searchParams.get("q") ?? "";
  if ("go" in input.dataset && palette().dataset.for === input.value) entries()[0]?.click();
});
