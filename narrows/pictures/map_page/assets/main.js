// Connects the parts: draws when something has changed, and follows pointer, wheel and keyboard.

const stage = $("stage");
const overlay = $("overlay");
const state = new State();
const drawing = drawingFor(location.hash);
const MORPH = 700; // milliseconds from one view to another
let line = []; // the lasso that is being drawn, on the plane
let isLasso = false;
let morphStart = -Infinity;
let isDue = false;
let isPanning = false;
const pace = new Pace(redraw);

// WebGL, or the canvas where that is faster; "#webgl" and "#canvas" ask for one of them.
function drawingFor(hash) {
  const byWebGL = hash === "#canvas" ? null : WebGLPoints.on($("points"), hash === "#webgl");
  if (byWebGL) return byWebGL;
  const canvas = $("points").cloneNode(); // one that was asked for WebGL gives no other context
  $("points").replaceWith(canvas);
  return CanvasPoints.on(canvas);
}

function redraw() {
  if (!isDue) requestAnimationFrame(draw);
  isDue = true;
}

function draw(now) {
  isDue = false;
  const every = pace.next(now);
  const share = Math.min((now - morphStart) / MORPH, 1);
  const { camera } = state;
  const size = clamp(2.2 * Math.sqrt(30_000 / n), 2, 7) * clamp(camera.zoom ** 0.35, 0.8, 4);
  drawing.draw(camera, share * share * (3 - 2 * share), size, n > 20_000 ? 0.75 : 0.85, every);
  drawOverlay(overlay.getContext("2d"), state, line, redraw);
  if (share < 1) redraw();
  document.body.dataset.ready ??= Math.round(performance.now());
}

function resize() {
  const { width, height } = stage.getBoundingClientRect();
  const density = Math.min(devicePixelRatio, 2);
  for (const canvas of [$("points"), overlay]) {
    canvas.width = Math.max(1, Math.round(width * density));
    canvas.height = Math.max(1, Math.round(height * density));
  }
  Object.assign(state.camera, { width: Math.max(width, 1), height: Math.max(height, 1) });
  redraw();
}

function recolour() {
  state.rgb = coloursOf(state.column);
  drawing.setColours(state.rgb);
  refade();
}

function refade() {
  drawing.setFaded(state.faded());
  fillLegend($("legend"), state.column, state.hidden, (one) => {
    if (!state.hidden.delete(one)) state.hidden.add(one);
    refade();
  });
  $("selection").hidden = !state.selected;
  $("count").textContent = state.selected ? `${state.selected.length.toLocaleString("en")} selected` : "";
  redraw();
}

function showView(at) {
  state.show(at);
  drawing.setPoints(state.before, state.points);
  morphStart = performance.now();
  $("status").textContent = state.status(drawing.kind);
  redraw();
}

function choose(slot) {
  state.chosen = slot < 0 ? null : { slot, near: neighboursOf(slot) };
  $("panel").hidden = slot < 0;
  if (slot >= 0) fillPanel($("panel"), slot, state.chosen.near, (one) => {
    state.camera.moveTo(state.points[2 * one], state.points[2 * one + 1]);
    choose(one);
  });
  redraw();
}

function select(slots) {
  state.selected = slots && slots.length ? slots : null;
  refade();
}

function setLasso(on) {
  isLasso = on;
  $("lasso").setAttribute("aria-pressed", on);
  overlay.classList.toggle("lasso", on);
}

function placeOfEvent(event) {
  const box = overlay.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function hover(left, top) {
  const card = $("card");
  const slot = left === undefined ? -1 : state.at(left, top);
  card.hidden = slot < 0;
  if (slot < 0) return;
  if (card.dataset.slot !== String(slot)) fillCard(card, slot, redraw);
  card.dataset.slot = slot;
  const { width, height } = state.camera;
  card.style.left = `${left + card.offsetWidth + 24 > width ? left - card.offsetWidth - 14 : left + 14}px`;
  card.style.top = `${Math.max(4, Math.min(top + 14, height - card.offsetHeight - 6))}px`;
}
