// What the page shows: one JSON object, and arrays as base64 in elements of their own. Records are in the order of the
// page ("slots"); `index` has their numbers in the data.

const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);

function bytesOf(name) {
  const text = $(`blob-${name}`).textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function arrayOf(name, Kind) {
  return new Kind(bytesOf(name).buffer);
}

const lazily = (make) => {
  let made;
  return () => (made ??= make());
};

const index = arrayOf("index", Uint32Array);
const n = index.length;
const codes = lazily(() => arrayOf("codes", Int16Array));
for (const view of facts.views) view.points = lazily(() => arrayOf(view.blob, Float32Array));
for (const column of facts.columns) {
  column.values = lazily(() => arrayOf(column.blob, column.classes ? Uint8Array : Float32Array));
}

function rounded(value) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(3);
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 7 });
}

function valueOf(column, slot) {
  const value = column.values()[slot];
  return column.classes ? column.classes[value] : rounded(value);
}
