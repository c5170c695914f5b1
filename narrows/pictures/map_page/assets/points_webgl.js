// Draws all points by WebGL. Both ways of drawing have setPoints, setColours, setFaded and draw.

const VERTEX = `
  attribute vec2 start, end; attribute vec3 colour; attribute float faded;
  uniform vec2 centre, scale; uniform float share, alpha; uniform mediump float size;
  varying mediump vec4 paint;
  void main() {
    gl_Position = vec4((mix(start, end, share) - centre) * scale, 0.0, 1.0);
    gl_PointSize = size;
    paint = vec4(colour, alpha * (1.0 - 0.92 * faded));
  }`;
const FRAGMENT = `
  precision mediump float; varying mediump vec4 paint; uniform mediump float size;
  void main() {
    float away = length(gl_PointCoord - 0.5) * size;
    float a = paint.a * clamp(0.5 * size - away + 0.5, 0.0, 1.0);
    gl_FragColor = vec4(paint.rgb * a, a);
  }`;

class WebGLPoints {
  // Returns null where WebGL is missing, or slow because no graphics card computes it, unless that is allowed.
  static on(canvas, evenSlow = false) {
    const gl = canvas.getContext("webgl", { antialias: false, failIfMajorPerformanceCaveat: !evenSlow });
    if (!evenSlow && gl && WebGLPoints.isSlow(gl)) return null;
    const program = gl && WebGLPoints.linked(gl);
    return program && new WebGLPoints(canvas, gl, program);
  }

  static isSlow(gl) {
    const about = gl.getExtension("WEBGL_debug_renderer_info");
    return about !== null && /swiftshader|llvmpipe|software|basic render/i.test(gl.getParameter(about.UNMASKED_RENDERER_WEBGL));
  }

  static linked(gl) {
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
  }

  constructor(canvas, gl, program) {
    Object.assign(this, { canvas, gl, kind: "WebGL" });
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.buffers = {};
    for (const name of ["start", "end", "colour", "faded"]) {
      this.buffers[name] = { buffer: gl.createBuffer(), place: gl.getAttribLocation(program, name) };
    }
    this.uniforms = {};
    for (const name of ["centre", "scale", "share", "size", "alpha"]) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    this.setFaded(new Uint8Array(n));
  }

  setPoints(start, end) {
    this.fill("start", start, 2, this.gl.FLOAT, 8);
    this.fill("end", end, 2, this.gl.FLOAT, 8);
  }

  setColours(rgb) {
    this.fill("colour", rgb, 3, this.gl.UNSIGNED_BYTE, 3);
  }

  setFaded(faded) {
    this.fill("faded", faded, 1, this.gl.UNSIGNED_BYTE, 1);
  }

  fill(name, values, size, type, bytes) {
    const { gl } = this;
    Object.assign(this.buffers[name], { size, type, bytes });
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name].buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  }

  // Draws every k-th point.
  draw(camera, share, size, alpha, every) {
    const { gl, canvas, uniforms } = this;
    for (const one of Object.values(this.buffers)) {
      gl.bindBuffer(gl.ARRAY_BUFFER, one.buffer);
      gl.enableVertexAttribArray(one.place);
      gl.vertexAttribPointer(one.place, one.size, one.type, one.size === 3, one.bytes * every, 0);
    }
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniforms.centre, camera.x, camera.y);
    gl.uniform2f(uniforms.scale, (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
    gl.uniform1f(uniforms.share, share);
    gl.uniform1f(uniforms.size, size * (canvas.width / camera.width));
    gl.uniform1f(uniforms.alpha, alpha);
    gl.drawArrays(gl.POINTS, 0, Math.ceil(n / every));
  }
}
