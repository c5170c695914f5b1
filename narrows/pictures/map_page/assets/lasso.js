// The lasso: a line around points, which are selected and saved as a file of their indices.

function insideOf(line, grid) {
  const xs = line.map(([x]) => x);
  const ys = line.map(([, y]) => y);
  const near = grid.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  return near.filter((slot) => isInside(line, grid.points[2 * slot], grid.points[2 * slot + 1]));
}

// Whether a ray from the point crosses the closed line an odd number of times.
function isInside(line, x, y) {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [[x0, y0], [x1, y1]] = [line[i], line[j]];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
  }
  return inside;
}

function indicesText(slots) {
  return Array.from(slots, (slot) => index[slot]).sort((a, b) => a - b).join("\n") + "\n";
}

function saveIndices(slots) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([indicesText(slots)], { type: "text/plain" }));
  link.download = "indices.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
