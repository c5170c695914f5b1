// Thumbnails of images: sheets of 16 × 16 records, which are decoded when they are needed.

const sprites = {
  sheets: new Map(),
  most: 200, // decoded sheets in memory

  // The sheet of a slot, or null until it is decoded; `done` is called then.
  sheet(slot, done) {
    const { perSheet, mime } = facts.record;
    const at = Math.floor(slot / perSheet);
    const found = this.sheets.get(at);
    if (found !== undefined) {
      this.sheets.delete(at);
      this.sheets.set(at, found); // the last used is the last in order
      return found;
    }
    this.sheets.set(at, null);
    createImageBitmap(new Blob([bytesOf(`sheet-${at}`)], { type: mime })).then((bitmap) => {
      this.sheets.set(at, bitmap);
      if (this.sheets.size > this.most) this.forget();
      done();
    });
    return null;
  },

  forget() {
    const [oldest, bitmap] = this.sheets.entries().next().value;
    if (bitmap) bitmap.close();
    this.sheets.delete(oldest);
  },

  // Draws the thumbnail of a slot; returns whether it was there.
  draw(context, slot, left, top, width, height, done) {
    const { perSheet, perRow, size } = facts.record;
    const sheet = this.sheet(slot, done);
    if (!sheet) return false;
    const place = slot % perSheet;
    const [x, y] = [(place % perRow) * size[1], Math.floor(place / perRow) * size[0]];
    context.drawImage(sheet, x, y, size[1], size[0], left, top, width, height);
    return true;
  },
};
