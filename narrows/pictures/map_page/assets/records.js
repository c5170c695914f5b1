// Shows a record: an image, a small line for each channel of a series, a text, or the values of a row of a table.

const recordViews = {
  image(slot, redraw) {
    const [height, width] = facts.record.size;
    const factor = Math.max(1, Math.round(140 / Math.max(height, width)));
    const canvas = newCanvas(width * factor, height * factor);
    canvas.className = "pixels";
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    const draw = () => sprites.draw(context, slot, 0, 0, canvas.width, canvas.height, () => {
      draw();
      redraw();
    });
    draw();
    return canvas;
  },

  line(slot) {
    const canvas = newCanvas(220, 60 + 20 * (facts.record.channels - 1));
    strokeLines(canvas.getContext("2d"), slot, 0, 0, canvas.width, canvas.height, 1.5);
    return canvas;
  },

  text(slot) {
    const paragraph = document.createElement("p");
    paragraph.textContent = facts.record.texts[slot];
    return paragraph;
  },

  row(slot) {
    const { names, words } = facts.record;
    const values = lines();
    const shown = (value, i) => (words[i] ? words[i][value] : rounded(value));
    return list(names.map((name, i) => [name, shown(values[slot * names.length + i], i)]));
  },
};

const lineColours = ["#0173b2", "#de8f05", "#029e73", "#cc78bc"];
const lines = lazily(() => arrayOf("records", facts.record.kind === "row" ? Float32Array : Uint8Array));

// Draws a line for each channel of a series into a box.
function strokeLines(context, slot, left, top, width, height, thickness) {
  const { steps, channels } = facts.record;
  const values = lines();
  context.lineWidth = thickness;
  for (let channel = 0; channel < channels; channel++) {
    context.strokeStyle = lineColours[channel % lineColours.length];
    context.beginPath();
    for (let step = 0; step < steps; step++) {
      const value = values[(slot * channels + channel) * steps + step] / 255;
      context.lineTo(left + 1 + (step / Math.max(steps - 1, 1)) * (width - 2), top + height - 3 - value * (height - 6));
    }
    context.stroke();
  }
}

function recordOf(slot, redraw = () => {}) {
  return recordViews[facts.record.kind](slot, redraw);
}

function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

function list(pairs) {
  const whole = document.createElement("dl");
  for (const [name, value] of pairs) {
    whole.append(
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    );
  }
  return whole;
}

function nameOf(slot) {
  return facts.names ? facts.names[slot] : `#${index[slot]}`;
}

// The card beside the pointer: the record, its name, and the columns that are not shown with it.
function fillCard(card, slot, redraw) {
  const shown = facts.record.kind === "row" ? new Set(facts.record.names) : new Set();
  const pairs = facts.columns.filter((one) => !shown.has(one.name)).map((one) => [one.name, valueOf(one, slot)]);
  const name = Object.assign(document.createElement("b"), { textContent: nameOf(slot) });
  card.replaceChildren(recordOf(slot, redraw), name, list(pairs.slice(0, 12)));
}
