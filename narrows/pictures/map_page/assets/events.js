// Pointer, wheel, touch and keyboard.

const pointers = new Map(); // id: [left, top]
let moved = 0;

overlay.addEventListener("pointerdown", (event) => {
  overlay.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, placeOfEvent(event));
  moved = 0;
  isPanning = !(isLasso || event.shiftKey);
  line = isPanning ? [] : [state.camera.toPlane(...placeOfEvent(event))];
  overlay.classList.toggle("panning", isPanning);
});

overlay.addEventListener("pointermove", (event) => {
  const [left, top] = placeOfEvent(event);
  const before = pointers.get(event.pointerId);
  if (!before) return hover(left, top);
  moved += Math.abs(left - before[0]) + Math.abs(top - before[1]);
  pointers.set(event.pointerId, [left, top]);
  if (pointers.size === 2) {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const length = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    state.camera.zoomAt((left + other[0]) / 2, (top + other[1]) / 2, length([left, top]) / (length(before) || 1));
  } else if (line.length) {
    line.push(state.camera.toPlane(left, top));
  } else {
    state.camera.pan(left - before[0], top - before[1]);
  }
  if (moved > 4) hover();
  return redraw();
});

function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  overlay.classList.remove("panning");
  const drawn = line;
  line = [];
  if (moved <= 4 && event.type === "pointerup") choose(state.at(...placeOfEvent(event)));
  else if (drawn.length > 2) select(insideOf(drawn, state.grid).filter((slot) => state.isShown(slot)));
  redraw();
}

overlay.addEventListener("pointerup", release);
overlay.addEventListener("pointercancel", release);
overlay.addEventListener("pointerleave", () => hover());

overlay.addEventListener("wheel", (event) => {
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode === 1 ? 18 : 1);
  state.camera.zoomAt(...placeOfEvent(event), Math.exp(-clamp(pixels, -300, 300) * 0.0025));
  hover();
  redraw();
}, { passive: false });

function fit() {
  state.camera.fit();
  redraw();
}

overlay.addEventListener("dblclick", fit);
$("fit").addEventListener("click", fit);
$("lasso").addEventListener("click", () => setLasso(!isLasso));
$("save").addEventListener("click", () => saveIndices(state.selected));
$("clear").addEventListener("click", () => select(null));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  setLasso(false);
  select(null);
  choose(-1);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(resize).observe(stage);

function options(select, names, chosen, change) {
  select.replaceChildren(...names.map((name, i) => new Option(name, i, false, i === chosen)));
  select.addEventListener("change", () => change(Number(select.value)));
}

$("title").textContent = document.title;
options($("view"), facts.views.map((view) => view.title), 0, showView);
const chosen = facts.column < 0 ? facts.columns.length : facts.column;
options($("column"), [...facts.columns.map((one) => one.name), "none"], chosen, (at) => {
  state.colourBy(facts.columns[at] ?? null);
  recolour();
});
drawing.setPoints(state.points, state.points);
recolour();
$("status").textContent = state.status(drawing.kind);
resize();
