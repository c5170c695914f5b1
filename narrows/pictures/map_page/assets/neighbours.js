// The nearest neighbours of a point by its code, among all records.

function neighboursOf(slot, k = 12) {
  const d = facts.codeLength;
  const all = codes();
  const near = [];
  let farthest = Infinity;
  for (let i = 0; i < n; i++) {
    let away = 0;
    for (let j = 0; j < d; j++) {
      const difference = all[i * d + j] - all[slot * d + j];
      away += difference * difference;
    }
    if (away >= farthest || i === slot) continue;
    let at = near.length;
    while (at > 0 && near[at - 1].away > away) at--;
    near.splice(at, 0, { slot: i, away });
    if (near.length > k) near.pop();
    if (near.length === k) farthest = near[k - 1].away;
  }
  return near.map((one) => one.slot);
}

function fillPanel(panel, slot, near, choose) {
  const title = Object.assign(document.createElement("h2"), {
    textContent: `${nameOf(slot)} and its ${near.length} nearest by code`,
  });
  const items = document.createElement("ol");
  items.className = facts.record.kind === "image" ? "" : "wide";
  for (const one of [slot, ...near]) {
    const item = document.createElement("li");
    const label = facts.columns.find((column) => column.name === "label");
    const name = label ? `${nameOf(one)} · ${valueOf(label, one)}` : nameOf(one);
    item.append(recordOf(one), name);
    item.addEventListener("click", () => choose(one));
    items.append(item);
  }
  panel.replaceChildren(title, items);
  panel.hidden = false;
}
