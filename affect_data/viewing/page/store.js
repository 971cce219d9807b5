// What is looked at: filters and order, as they stand in the address, so that a view can be shared and the browser's back button works.

import { ask } from "./dom.js";

export const store = {
  about: null,
  query: new URLSearchParams(), // filters and sort
  face: "", // uid of the face that is open
  total: 0,
  version: 0, // of the decisions that this page has seen
  listeners: [],
};

export function begin(about) {
  store.about = about;
  const asked = new URLSearchParams(location.search);
  if (![...asked.keys()].length && about.start) new URLSearchParams(about.start).forEach((value, key) => asked.append(key, value));
  store.face = asked.get("face") ?? "";
  asked.delete("face");
  store.query = asked;
  write(true);
  window.addEventListener("popstate", () => {
    const back = new URLSearchParams(location.search);
    store.face = back.get("face") ?? "";
    back.delete("face");
    const moved = back.toString() !== store.query.toString();
    store.query = back;
    tell(moved);
  });
}

function write(replace) {
  const shown = new URLSearchParams(store.query);
  if (store.face) shown.set("face", store.face);
  const text = shown.toString(), address = location.pathname + (text ? `?${text}` : "");
  if (address !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"](null, "", address);
}

function tell(moved) { for (const listener of store.listeners) listener(moved); }

export function change(edit) {
  edit(store.query);
  write();
  tell(true);
}

export function openFace(uid, replace) {
  store.face = uid;
  write(replace);
}

export const values = (key) => store.query.getAll(key);

export function toggle(key, value) {
  change((query) => {
    const kept = query.getAll(key), has = kept.includes(value);
    query.delete(key);
    for (const old of kept) if (old !== value) query.append(key, old);
    if (!has) query.append(key, value);
  });
}

export function set(key, ...wanted) {
  change((query) => {
    query.delete(key);
    for (const value of wanted) if (value) query.append(key, value);
  });
}

// The parts of the grid that were read, a part for each PART rows, the last ones kept.
const PART = 120, KEPT = 60;
let parts = new Map(), key = "";

export function forget() { parts = new Map(); }

export function part(start) {
  const asked = store.query.toString();
  if (asked !== key) { key = asked; forget(); }
  const first = Math.floor(start / PART) * PART;
  let found = parts.get(first);
  if (!found) {
    found = { rows: null };
    found.promise = ask(`rows?${asked}&start=${first}&count=${PART}`).then((answer) => { found.rows = answer.rows; return answer.rows; });
    found.promise.catch(() => parts.delete(first));
  } else parts.delete(first);
  parts.set(first, found);
  if (parts.size > KEPT) parts.delete(parts.keys().next().value);
  return found;
}

export function rowNow(index) { return part(index).rows?.[index % PART] ?? null; }
export async function rowAt(index) { return (await part(index).promise)[index % PART]; }
