// Draws all points without a graphics card, pixel by pixel; colours that meet are mixed in equal parts.

class CanvasPoints {
  static on(canvas) {
    return new CanvasPoints(canvas, canvas.getContext("2d"));
  }

  constructor(canvas, context) {
    Object.assign(this, { canvas, context, kind: "canvas", faded: new Uint8Array(n), colours: new Uint32Array(n) });
  }

  setPoints(start, end) {
    this.start = start;
    this.end = end;
  }

  setColours(rgb) {
    for (let i = 0; i < n; i++) this.colours[i] = rgb[3 * i] | (rgb[3 * i + 1] << 8) | (rgb[3 * i + 2] << 16);
  }

  setFaded(faded) {
    this.faded = faded;
  }

  // Draws every k-th point.
  draw(camera, share, size, alpha, every) {
    const { canvas, context, start, end, colours, faded } = this;
    const { width, height } = canvas;
    const density = width / camera.width;
    if (this.picture?.width !== width || this.picture?.height !== height) {
      this.picture = context.createImageData(width, height);
    }
    const pixels = new Uint32Array(this.picture.data.buffer);
    pixels.fill(0);
    const radius = Math.max(size * density, 1) / 2;
    const dots = discOf(radius, width);
    const margin = Math.ceil(radius) + 1;
    const scale = camera.scale * density;
    const [left, top] = [width / 2 - camera.x * scale, height / 2 + camera.y * scale];
    const whole = Math.round(255 * alpha) << 24;
    const pale = Math.round(255 * alpha * 0.08) << 24;
    for (let i = 0; i < n; i += every) {
      const x = left + (start[2 * i] + (end[2 * i] - start[2 * i]) * share) * scale;
      const y = top - (start[2 * i + 1] + (end[2 * i + 1] - start[2 * i + 1]) * share) * scale;
      if (x < margin || y < margin || x >= width - margin || y >= height - margin) continue;
      const colour = colours[i] | (faded[i] ? pale : whole);
      const at = (y | 0) * width + (x | 0);
      for (const dot of dots) {
        const below = pixels[at + dot];
        if (below === 0) pixels[at + dot] = colour;
        else if (!faded[i]) pixels[at + dot] = ((below & 0xfefefefe) >>> 1) + ((colour & 0xfefefefe) >>> 1);
      }
    }
    context.putImageData(this.picture, 0, 0);
  }
}

// The pixels of a disc, as distances in an array of rows of this width.
function discOf(radius, width) {
  const found = [];
  const most = Math.ceil(radius);
  for (let y = -most; y <= most; y++) {
    for (let x = -most; x <= most; x++) if (x * x + y * y <= radius * radius + 0.01) found.push(y * width + x);
  }
  return Int32Array.from(found);
}
