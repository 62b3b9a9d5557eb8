// Runs in the list's component: `element` is its root, in which the list is drawn anew with every game.
const items = () => [...element.querySelectorAll("li")];
const tell = (item) => {
  const place = items().indexOf(item) + 1;
  element.querySelector("[role=status]").textContent = `Moved to place ${place} of ${items().length}.`;
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-step]");
  if (!button) return;
  const item = button.closest("li");
  if (button.dataset.step === "-1") item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  button.focus();
  tell(item);
});

let dragged = null;
element.addEventListener("pointerdown", (event) => {
  const item = event.target.closest("li");
  // With a finger only by the handle, because elsewhere it scrolls.
  const grabs = event.pointerType === "mouse" ? event.button === 0 : event.target.closest(".handle");
  if (!item || !grabs || event.target.closest("button")) return;
  dragged = item;
  dragged.classList.add("dragged");
  event.preventDefault();
});
window.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  for (const item of items()) {
    const box = item.getBoundingClientRect();
    if (item === dragged || event.clientY < box.top || event.clientY > box.bottom) continue;
    const middle = (box.top + box.bottom) / 2;
    const [from, at] = [dragged, item].map((one) => items().indexOf(one));
    if (at > from && event.clientY > middle) item.after(dragged);
    if (at < from && event.clientY < middle) item.before(dragged);
  }
});
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, () => {
    if (!dragged) return;
    dragged.classList.remove("dragged");
    tell(dragged);
    dragged = null;
  });
}
