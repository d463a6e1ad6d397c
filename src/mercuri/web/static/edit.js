// Editing in place. A value is a link ([data-edit]) beside a <template> that holds its form: the form opens in the same step that
// takes the focus, so that no key typed meanwhile is lost. Enter saves, Escape leaves; the new value is painted at once and taken
// back when the server refuses it. Without scripts the link leads to the page with the form open.
function open(button) {
  const cell = button.closest("[data-value]");
  const form = cell.querySelector("template").content.firstElementChild.cloneNode(true);
  button.hidden = true;
  cell.append(form);
  const input = form.querySelector("input:not([type=hidden]), select, textarea");
  input.focus();
  input.select?.();
  window.htmx?.process(form);
}

// A form that the server opened has no link to go back to: its own "leave" link does that.
const isOpenedHere = (form) => Boolean(form.closest("[data-value]")?.querySelector("[data-edit]"));

function close(form) {
  const cell = form.closest("[data-value]");
  const button = cell.querySelector("[data-edit]");
  form.remove();
  button.hidden = false;
  button.focus();
}

function paintAtOnce(form) {
  const cell = form.closest("[data-value]");
  const shown = cell.querySelector("[data-edit] [data-text]");
  const input = form.querySelector("input:not([type=hidden]), select, textarea");
  form.dataset.before = shown.textContent;
  shown.textContent = input.value || "–";
  form.hidden = true;
  cell.querySelector("[data-edit]").hidden = false;
  cell.querySelector("[data-edit]").focus();
}

function takeBack(form) {
  if (!form.isConnected) return;
  const cell = form.closest("[data-value]");
  cell.querySelector("[data-edit] [data-text]").textContent = form.dataset.before;
  cell.querySelector("[data-edit]").hidden = true;
  form.hidden = false;
  form.querySelector("input:not([type=hidden]), select, textarea").focus();
}

const editForm = (event) => {
  const form = event.target.closest?.("[data-edit-form]");
  return form && isOpenedHere(form) ? form : null;
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-edit]");
  if (button) {
    event.preventDefault();
    open(button);
  }
  const form = event.target.closest("[data-edit-cancel]")?.closest("form");
  if (form && isOpenedHere(form)) {
    event.preventDefault();
    close(form);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "F2" && event.target.matches("[data-edit]")) {
    event.preventDefault();
    open(event.target);
  }
  const form = editForm(event);
  if (form && event.key === "Escape") {
    event.preventDefault();
    close(form);
  }
});

document.body.addEventListener("htmx:beforeSend", (event) => { const form = editForm(event); if (form) paintAtOnce(form); });
document.body.addEventListener("htmx:responseError", (event) => { const form = editForm(event); if (form) takeBack(form); });
document.body.addEventListener("htmx:sendError", (event) => { const form = editForm(event); if (form) takeBack(form); });
