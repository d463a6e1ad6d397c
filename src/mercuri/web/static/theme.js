// Light or dark: painted at once; the form's cookie keeps the choice. The server renders the cookie, so no page flashes.
const root = document.documentElement;

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

document.addEventListener("submit", (event) => {
  if (!event.submitter?.matches("[data-theme-switch]")) return;
  event.preventDefault();
  const form = event.target;
  const body = new FormData(form);
  root.dataset.theme = isDark() ? "light" : "dark";
  body.set("theme", root.dataset.theme);
  fetch(form.action, { method: "POST", body: new URLSearchParams(body), headers: { "HX-Request": "true" } });
});
