// Thumbnails of images: sheets of 16 × 16 records, which are decoded when they are needed.

const sprites = {
  sheets: new Map(),
  most: 200, // decoded sheets in memory

  // The sheet of a slot, or null until it is decoded; `done` is called then.
  sheet(slot, done) {
    const { perSheet, mime } = facts.record;
    const at = Math.floor(slot / perSheet);
    const found = this.sheets.get(at) ?? { bitmap: null, waiting: new Set() };
    const isNew = !this.sheets.delete(at);
    this.sheets.set(at, found); // the last used is the last in order
    if (found.bitmap) return found.bitmap;
    found.waiting.add(done);
    if (isNew) {
      createImageBitmap(new Blob([bytesOf(`sheet-${at}`)], { type: mime })).then((bitmap) => {
        found.bitmap = bitmap;
        if (this.sheets.size > this.most) this.forget();
        for (const one of found.waiting) one();
        found.waiting.clear();
      });
    }
    return null;
  },

  // Frees the sheet that was not used for the longest time.
  forget() {
    const [oldest, { bitmap }] = this.sheets.entries().next().value;
    if (!bitmap) return; // it is being decoded
    bitmap.close();
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
