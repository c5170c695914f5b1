// What is drawn above the points: thumbnails or words when zoomed in, rings around neighbours, and the lasso.

const MOST_THUMBNAILS = 1500;
const NEXT = [-1, 0, 1].flatMap((a) => [-1, 0, 1].map((b) => [a, b])); // a cell and those around it
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawOverlay(context, state, line, redraw) {
  const density = context.canvas.width / state.camera.width;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, state.camera.width, state.camera.height);
  state.reach = 9;
  const drawSmall = smallRecords[facts.record.kind];
  const visible = drawSmall ? state.visible(MOST_THUMBNAILS) : null;
  const shown = visible ? visible.filter((slot) => state.isShown(slot)) : [];
  if (shown.length) drawSmall(context, state, shown, redraw);
  if (state.chosen) drawNeighbours(context, state, state.chosen);
  if (line.length) drawLine(context, state, line);
}

const smallRecords = {
  image(context, state, visible, redraw) {
    const [rows, columns] = facts.record.size;
    context.imageSmoothingEnabled = sideFor(state, visible) < rows;
    drawThumbnails(context, state, visible, [rows, columns], (slot, box) => sprites.draw(context, slot, ...box, redraw));
  },
  line(context, state, visible) {
    const paper = ink("--paper");
    drawThumbnails(context, state, visible, [1, 2], (slot, box) => {
      context.fillStyle = paper;
      context.fillRect(...box);
      strokeLines(context, slot, ...box, 1);
      return true;
    });
  },
  text: (...given) => drawWords(...given),
};

function sideFor(state, visible) {
  return clamp(0.8 * Math.sqrt((state.camera.width * state.camera.height) / visible.length), 18, 72);
}

// As many thumbnails as have room; the other records stay dots.
function drawThumbnails(context, state, visible, [rows, columns], paint) {
  const side = sideFor(state, visible);
  const [w, h] = rows > columns ? [(side * columns) / rows, side] : [side, (side * rows) / columns];
  state.reach = side / 2;
  const taken = new Map(); // cells of the size of a thumbnail: where the thumbnail in it is
  const isFree = (left, top) => NEXT.every(([a, b]) => {
    const other = taken.get(`${Math.floor(left / w) + a} ${Math.floor(top / h) + b}`);
    return !other || Math.abs(other[0] - left) >= w || Math.abs(other[1] - top) >= h;
  });
  for (const slot of visible) {
    const [left, top] = state.placeOf(slot);
    if (!isFree(left, top)) continue;
    if (!paint(slot, [left - w / 2, top - h / 2, w, h])) continue;
    taken.set(`${Math.floor(left / w)} ${Math.floor(top / h)}`, [left, top]);
    context.lineWidth = 2;
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
