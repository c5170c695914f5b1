// Where the plane of points, a square from -1 to 1, is on the screen. Sizes are in CSS pixels.

class Camera {
  constructor() {
    this.width = this.height = 1;
    this.fit();
  }

  fit() {
    this.x = this.y = 0;
    this.zoom = 1;
  }

  get scale() {
    return (0.47 * this.zoom * Math.min(this.width, this.height));
  }

  toScreen(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  toPlane(left, top) {
    return [this.x + (left - this.width / 2) / this.scale, this.y - (top - this.height / 2) / this.scale];
  }

  pan(right, down) {
    this.x = clamp(this.x - right / this.scale, -1.2, 1.2);
    this.y = clamp(this.y + down / this.scale, -1.2, 1.2);
  }

  zoomAt(left, top, factor) {
    const [x, y] = this.toPlane(left, top);
    this.zoom = clamp(this.zoom * factor, 0.5, 2000);
    const [newX, newY] = this.toPlane(left, top);
    this.x = clamp(this.x + x - newX, -1.2, 1.2);
    this.y = clamp(this.y + y - newY, -1.2, 1.2);
  }

  moveTo(x, y) {
    this.x = x;
    this.y = y;
  }
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
