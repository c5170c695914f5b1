// What is drawn above the points: thumbnails or words when zoomed in, rings around neighbours, and the lasso.

const MOST_THUMBNAILS = 1500;
const NEXT = [-1, 0, 1].flatMap((a) => [-1, 0, 1].map((b) => [a, b])); // a cell and those around it
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawOverlay(context, state, line, redraw) {
  const density = context.canvas.width / state.camera.width;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, state.camera.width, state.camera.height);
  state.reach = 9;
  const isWritten = ["image", "text"].includes(facts.record.kind);
  const visible = isWritten ? state.visible(MOST_THUMBNAILS) : null;
  const shown = visible ? visible.filter((slot) => state.isShown(slot)) : [];
  if (shown.length) (facts.record.kind === "image" ? drawThumbnails : drawWords)(context, state, shown, redraw);
  if (state.chosen) drawNeighbours(context, state, state.chosen);
  if (line.length) drawLine(context, state, line);
}

// As many thumbnails as have room; the other records stay dots.
function drawThumbnails(context, state, visible, redraw) {
  const { width, height } = state.camera;
  const [rows, columns] = facts.record.size;
  const side = clamp(0.8 * Math.sqrt((width * height) / visible.length), 18, 72);
  const [w, h] = rows > columns ? [(side * columns) / rows, side] : [side, (side * rows) / columns];
  state.reach = side / 2;
  const taken = new Map(); // cells of the size of a thumbnail: where the thumbnail in it is
  const isFree = (left, top) => NEXT.every(([a, b]) => {
    const other = taken.get(`${Math.floor(left / w) + a} ${Math.floor(top / h) + b}`);
    return !other || Math.abs(other[0] - left) >= w || Math.abs(other[1] - top) >= h;
  });
  context.imageSmoothingEnabled = side < rows;
  context.lineWidth = 2;
  for (const slot of visible) {
    const [left, top] = state.placeOf(slot);
    if (!isFree(left, top)) continue;
    if (!sprites.draw(context, slot, left - w / 2, top - h / 2, w, h, redraw)) continue;
    taken.set(`${Math.floor(left / w)} ${Math.floor(top / h)}`, [left, top]);
    context.strokeStyle = `rgb(${state.rgb.subarray(3 * slot, 3 * slot + 3)})`;
    context.strokeRect(left - w / 2, top - h / 2, w, h);
  }
}

function drawWords(context, state, visible) {
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = ink("--paper");
  context.fillStyle = ink("--ink");
  const boxes = [];
  for (const slot of visible) {
    const text = facts.record.texts[slot].slice(0, 40);
    const [left, top] = state.placeOf(slot);
    const half = context.measureText(text).width / 2 + 2;
    if (boxes.some(([x, y, other]) => Math.abs(x - left) < half + other && Math.abs(y - top) < 14)) continue;
    boxes.push([left, top, half]);
    context.strokeText(text, left, top);
    context.fillText(text, left, top);
  }
}

function drawNeighbours(context, state, { slot, near }) {
  const accent = ink("--accent");
  const [x, y] = state.placeOf(slot);
  context.strokeStyle = accent;
  context.lineWidth = 1;
  context.globalAlpha = 0.6;
  for (const one of near) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(...state.placeOf(one));
    context.stroke();
  }
  context.globalAlpha = 1;
  context.lineWidth = 2;
  for (const one of [slot, ...near]) {
    context.beginPath();
    context.arc(...state.placeOf(one), one === slot ? 9 : 6, 0, 2 * Math.PI);
    context.stroke();
  }
}

function drawLine(context, state, line) {
  context.strokeStyle = ink("--accent");
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.beginPath();
  for (const [x, y] of line) context.lineTo(...state.camera.toScreen(x, y));
  context.closePath();
  context.stroke();
  context.setLineDash([]);
}
