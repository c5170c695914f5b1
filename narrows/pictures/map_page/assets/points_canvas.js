// Draws all points without WebGL, pixel by pixel.

class CanvasPoints {
  static on(canvas) {
    return new CanvasPoints(canvas, canvas.getContext("2d"));
  }

  constructor(canvas, context) {
    Object.assign(this, { canvas, context, kind: "canvas", faded: new Uint8Array(n) });
  }

  setPoints(start, end) {
    this.start = start;
    this.end = end;
  }

  setColours(rgb) {
    this.rgb = rgb;
  }

  setFaded(faded) {
    this.faded = faded;
  }

  draw(camera, share, size, alpha) {
    const { canvas, context, start, end, rgb, faded } = this;
    const { width, height } = canvas;
    const density = width / camera.width;
    const side = Math.max(1, Math.round(size * density));
    const picture = context.createImageData(width, height);
    const pixels = picture.data;
    for (let i = 0; i < n; i++) {
      const x = start[2 * i] + (end[2 * i] - start[2 * i]) * share;
      const y = start[2 * i + 1] + (end[2 * i + 1] - start[2 * i + 1]) * share;
      const [left, top] = camera.toScreen(x, y);
      const x0 = Math.round(left * density - side / 2);
      const y0 = Math.round(top * density - side / 2);
      const a = alpha * (faded[i] ? 0.08 : 1);
      for (let v = Math.max(y0, 0); v < Math.min(y0 + side, height); v++) {
        for (let u = Math.max(x0, 0); u < Math.min(x0 + side, width); u++) {
          const at = 4 * (v * width + u);
          const below = (pixels[at + 3] / 255) * (1 - a);
          const whole = a + below;
          for (let c = 0; c < 3; c++) pixels[at + c] = (rgb[3 * i + c] * a + pixels[at + c] * below) / whole;
          pixels[at + 3] = 255 * whole;
        }
      }
    }
    context.putImageData(picture, 0, 0);
  }
}
