// Colours of points by a column, and its legend: classes that can be hidden, or a scale.

function rgbOf(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const scaleColours = facts.scale.map(rgbOf);

const missing = rgbOf("#dde1e7");

function scaleColour(share) {
  if (!Number.isFinite(share)) return missing;
  const place = clamp(share, 0, 1) * (scaleColours.length - 1);
  const low = Math.min(Math.floor(place), scaleColours.length - 2);
  return scaleColours[low].map((value, c) => value + (scaleColours[low + 1][c] - value) * (place - low));
}

function coloursOf(column) {
  const rgb = new Uint8Array(3 * n);
  const values = column && column.values();
  const classes = column && column.classes && column.colours.map(rgbOf);
  const one = rgbOf("#0173b2");
  for (let i = 0; i < n; i++) {
    const share = column && (values[i] - column.low) / (column.high - column.low || 1);
    rgb.set(!column ? one : classes ? classes[values[i]] : scaleColour(share), 3 * i);
  }
  return rgb;
}

function fillLegend(legend, column, hidden, toggle) {
  legend.hidden = !column;
  if (!column) return;
  if (column.classes) {
    legend.replaceChildren(...column.classes.map((name, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: "hide or show" });
      const dot = document.createElement("i");
      dot.style.background = column.colours[i];
      button.append(dot, name);
      button.classList.toggle("off", hidden.has(i));
      button.addEventListener("click", () => toggle(i));
      return button;
    }));
    return;
  }
  const bar = Object.assign(document.createElement("div"), { className: "scale" });
  bar.style.background = `linear-gradient(to right, ${facts.scale.join(",")})`;
  const ends = Object.assign(document.createElement("div"), { className: "ends" });
  ends.append(...[column.low, column.high].map((value) =>
    Object.assign(document.createElement("span"), { textContent: rounded(value) })));
  legend.replaceChildren(bar, ends);
}
