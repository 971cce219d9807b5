// Small faces come in strips, many in one picture; a face is a window on its strip.

import { blob } from "./dom.js";
import { store } from "./store.js";

const KEPT = 160; // strips
const strips = new Map(); // row -> { url, index, length }
const order = []; // strips, oldest first
const waiting = new Map(); // row -> callbacks
let timer = 0;

export function show(box, row, size) {
  box.dataset.row = row;
  const found = strips.get(row);
  if (found) { place(box, found, size); return; }
  box.style.backgroundImage = "";
  if (!waiting.has(row)) waiting.set(row, []);
  waiting.get(row).push(() => { if (Number(box.dataset.row) === row && strips.get(row)) place(box, strips.get(row), size); });
  if (!timer) timer = setTimeout(fetchWaiting, 30);
}

// Faces that were scrolled past before they were asked for are not asked for.
export function only(rows) { for (const row of [...waiting.keys()]) if (!waiting.get(row).asked && !rows.has(row)) waiting.delete(row); }

function place(box, found, size) {
  box.style.backgroundImage = `url(${found.url})`;
  box.style.backgroundSize = `${found.length * size}px ${size}px`;
  box.style.backgroundPosition = `${-found.index * size}px 0`;
}

async function fetchWaiting() {
  timer = 0;
  const rows = [...waiting.keys()].filter((row) => !waiting.get(row).asked);
  const most = Math.min(24, store.about.strip);
  for (let start = 0; start < rows.length; start += most) load(rows.slice(start, start + most));
}

async function load(rows) {
  for (const row of rows) waiting.get(row).asked = true;
  try {
    const url = await blob(`strip?rows=${rows.join(",")}`);
    order.push({ url, rows });
    rows.forEach((row, index) => strips.set(row, { url, index, length: rows.length }));
    while (order.length > KEPT) {
      const old = order.shift();
      for (const row of old.rows) if (strips.get(row)?.url === old.url) strips.delete(row);
      URL.revokeObjectURL(old.url);
    }
  } catch { /* the cell stays grey */ }
  for (const row of rows) { const callbacks = waiting.get(row) ?? []; waiting.delete(row); for (const done of callbacks) done(); }
}
