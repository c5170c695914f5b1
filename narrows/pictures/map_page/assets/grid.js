// Finds points near a place: a grid of cells over the square from -1 to 1, with the slots of each cell in a row.

class Grid {
  constructor(points, cells = 256) {
    Object.assign(this, { points, cells });
    this.first = new Uint32Array(cells * cells + 1);
    const cellOf = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      cellOf[i] = this.row(points[2 * i + 1]) * cells + this.row(points[2 * i]);
      this.first[cellOf[i] + 1]++;
    }
    for (let c = 0; c < cells * cells; c++) this.first[c + 1] += this.first[c];
    const next = this.first.slice();
    this.slots = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.slots[next[cellOf[i]]++] = i;
  }

  row(value) {
    return clamp(Math.floor(((value + 1) / 2) * this.cells), 0, this.cells - 1);
  }

  // The slots in the cells that a rectangle touches, at most so many.
  within(x0, y0, x1, y1, most = Infinity) {
    const found = [];
    for (let row = this.row(y0); row <= this.row(y1); row++) {
      for (let i = this.first[row * this.cells + this.row(x0)]; i < this.first[row * this.cells + this.row(x1) + 1]; i++) {
        if (found.length >= most) return found;
        found.push(this.slots[i]);
      }
    }
    return found;
  }

  nearest(x, y, radius, isShown) {
    let best = -1;
    let least = radius * radius;
    for (const slot of this.within(x - radius, y - radius, x + radius, y + radius)) {
      const away = (this.points[2 * slot] - x) ** 2 + (this.points[2 * slot + 1] - y) ** 2;
      if (away <= least && isShown(slot)) [best, least] = [slot, away];
    }
    return best;
  }
}
