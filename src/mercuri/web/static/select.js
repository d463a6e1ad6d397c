// Picking rows: shift picks a range, X picks the row in focus, one box picks all that are shown. The bar with what can be done shows
// itself by CSS as soon as one is picked.
const boxes = () => [...document.querySelectorAll("[data-pick]")];
let last = null;

function count() {
  const all = boxes();
  const picked = all.filter((box) => box.checked).length;
  const every = document.querySelector("[data-pick-all]");
  if (!every) return;
  every.checked = picked === all.length && picked > 0;
  every.indeterminate = picked > 0 && picked < all.length;
  document.querySelector("[data-picked]").textContent = `${picked.toLocaleString()} of ${all.length.toLocaleString()} shown are picked`;
}

document.addEventListener("click", (event) => {
  const box = event.target.closest("[data-pick]");
  if (box) {
    const all = boxes();
    const from = all.indexOf(last);
    if (event.shiftKey && from >= 0) {
      const [low, high] = [from, all.indexOf(box)].sort((a, b) => a - b);
      for (const other of all.slice(low, high + 1)) other.checked = box.checked;
    }
    last = box;
    count();
  }
  if (event.target.matches("[data-pick-all]")) {
    for (const other of boxes()) other.checked = event.target.checked;
    count();
  }
});

document.body.addEventListener("htmx:afterSettle", count);
