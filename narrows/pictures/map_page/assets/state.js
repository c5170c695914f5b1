// What is shown: the view and its points, the colours, which points are hidden, selected or highlighted.

class State {
  constructor() {
    this.camera = new Camera();
    this.column = facts.columns[facts.column] ?? null;
    this.hidden = new Set(); // classes of the column
    this.selected = null; // slots in the lasso
    this.chosen = null; // { slot, near }: a point that was clicked, and its neighbours
    this.reach = 9; // pixels from a point within which it is meant
    this.show(0);
    this.before = this.points;
  }

  show(view) {
    this.before = this.points;
    this.view = facts.views[view];
    this.points = this.view.points();
    this.grid = new Grid(this.points);
  }

  colourBy(column) {
    this.column = column;
    this.hidden.clear();
  }

  isShown(slot) {
    return !this.hidden.size || !this.hidden.has(this.column.values()[slot]);
  }

  // The points that are drawn pale: of hidden classes, and those that are not selected.
  faded() {
    const faded = new Uint8Array(n);
    if (this.selected) faded.fill(1);
    for (const slot of this.selected ?? []) faded[slot] = 0;
    for (let i = 0; i < n; i++) if (!this.isShown(i)) faded[i] = 1;
    return faded;
  }

  // The slots on the screen; null if there are more than `most`.
  visible(most) {
    const { camera } = this;
    const [x0, y1] = camera.toPlane(0, 0);
    const [x1, y0] = camera.toPlane(camera.width, camera.height);
    const near = this.grid.within(x0, y0, x1, y1, 4 * most + 1);
    const { points } = this;
    const isBetween = (value, low, high) => value >= low && value <= high;
    const inside = near.filter((i) => isBetween(points[2 * i], x0, x1) && isBetween(points[2 * i + 1], y0, y1));
    return near.length > 4 * most || inside.length > most ? null : inside;
  }

  at(left, top) {
    const [x, y] = this.camera.toPlane(left, top);
    return this.grid.nearest(x, y, this.reach / this.camera.scale, (slot) => this.isShown(slot));
  }

  placeOf(slot) {
    return this.camera.toScreen(this.points[2 * slot], this.points[2 * slot + 1]);
  }

  status(kind) {
    const { title, accuracy, trustworthiness } = this.view;
    const scores = [["accuracy of 10 neighbours", accuracy], ["trustworthiness", trustworthiness]]
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name} ${value.toFixed(3)}`);
    return [`${n.toLocaleString("en")} records`, title, ...scores, kind].join(" · ");
  }
}
