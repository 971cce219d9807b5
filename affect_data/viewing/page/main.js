// The page: a grid of faces, its filters, one face large, and the keys.

import { ask, at, count, el, say } from "./dom.js";
import { Face } from "./face.js";
import { drawFilters, makeFilters } from "./filters.js";
import { Grid } from "./grid.js";
import { load as loadMap, makeMap } from "./map.js";
import { Selection } from "./selection.js";
import { begin, forget, rowAt, rowNow, set, store, values } from "./store.js";

const KEYS = [["← ↑ → ↓", "move in the grid; in one face: the one before, the next"], ["Enter", "open the face; in one face: save what was changed"], ["Space", "choose the face"], ["Shift + arrows or click", "choose all up to it"],
  ["Ctrl + A", "choose all of the view"], ["Esc", "leave the field, the face, the choice"], ["/", "look for text"], ["G", "review: the first face that is not decided"], ["P", "accept what the model says"], ["K", "keep the labels"],
  ["E then 1–9", "expression"], ["C", "compound expression, by a part of its name"], ["A", "action unit, by number"], ["V", "valence and arousal, two numbers"], ["M then E C A V M", "mask a task, or all"],
  ["S  U  R", "skip; undo; take back what is not saved"], ["F  N", "the whole picture; a note"], ["?", "these keys"]];

let grid, face, selection, busy = false, waiting = "", anchor = 0, turn = 0;

const actions = {
  isSelected: (row) => selection.has(row),
  clicked: (index, event) => {
    const here = rowNow(index);
    if (!here) return;
    if (event.shiftKey) guarded(() => chooseTo(index));
    else if (event.ctrlKey || event.metaKey || (event.target.closest(".pick"))) { grid.focus = anchor = index; selection.toggle(here); }
    else { grid.focus = anchor = index; actions.open(index); }
  },
  open: (index) => guarded(() => face.openPlace(index)),
  failed: (error) => say(error.message),
  closed: (place) => { if (place !== null && place < store.total) grid.move(place); else grid.draw(); at("grid").focus(); },
  changed: () => grid?.draw(),
  decided: async () => { forget(); await refresh(false); grid.renew(); },
  review: () => guarded(review),
  guarded: (work) => guarded(work),
};

async function free(work) {
  try { await work(); } catch (error) { say(error.message); } finally { ready(); }
}

// What the page has finished since it was opened; tests wait for it.
function ready() { document.body.dataset.ready = String(Number(document.body.dataset.ready ?? 0) + 1); }

async function guarded(work) {
  if (busy) return;
  busy = true;
  try { await work(); } catch (error) { say(error.message); } finally {
    busy = false;
    ready();
  }
}

async function refresh(moved) {
  const mine = ++turn;
  const found = await ask(`view?${store.query}`);
  if (mine !== turn) return;
  Object.assign(store.about, { actions: found.actions });
  store.total = found.total;
  store.version = found.version;
  at("total").textContent = found.total === store.about.rows ? `${count(found.total)} faces` : `${count(found.total)} of ${count(store.about.rows)} faces`;
  drawFilters(found);
  if (moved) { selection.clear(); grid.show(found.total); } else { grid.total = found.total; grid.layout(); }
  at("canvas").querySelector(".empty")?.remove();
  if (!found.total) at("canvas").replaceChildren(el("p", { class: "empty" }, "No face is like this. Take a filter away."));
  drawBar();
  await loadMap();
}

function drawBar() {
  const sort = store.query.get("sort") ?? "";
  at("sort").value = sort.replace("-", "");
  at("direction").textContent = sort.startsWith("-") ? "↓" : "↑";
  at("search").value = values("text")[0] ?? "";
}

function orderNames() {
  const { about } = store;
  const words = (name) => name.startsWith("finding.") ? about.checks[name.slice(8)] : name.startsWith("soft.") ? `far from ${name.slice(5)}` : name.startsWith("confidence.") ? `${name.slice(11)} is sure` : name.startsWith("intensity") ? `AU${name.slice(9)} intensity` : name;
  return [el("option", { value: "" }, "as in the dataset"), ...about.orders.map((name) => el("option", { value: name }, words(name)))];
}

async function chooseTo(index) {
  const [first, last] = [Math.min(anchor, index), Math.max(anchor, index)];
  if (last - first > 2000) { say("Shift chooses at most 2,000 faces; Ctrl + A chooses all of the view."); return; }
  const chosen = [];
  for (let place = first; place <= last; place += 1) chosen.push(await rowAt(place));
  grid.focus = index;
  selection.add(chosen);
}

async function review() {
  const next = await ask(`next?${store.query}&after=-1`);
  if (next.place === null) say(store.total ? `All ${count(store.total)} faces of this view are decided. Apply them: affect-data review apply ${store.about.file} ${store.about.dataset}` : "There is no face here to review.", true);
  else await face.openPlace(next.place);
}

function help() {
  at("help").replaceChildren(el("h2", {}, "Keys"), el("dl", {}, KEYS.flatMap(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)])),
    el("form", { method: "dialog" }, el("button", {}, "close")));
  at("help").showModal();
}

const inGrid = {
  ArrowRight: (shift) => step(1, shift), ArrowLeft: (shift) => step(-1, shift),
  ArrowDown: (shift) => step(grid.columns, shift), ArrowUp: (shift) => step(-grid.columns, shift),
  PageDown: (shift) => step(grid.page(), shift), PageUp: (shift) => step(-grid.page(), shift),
  Home: () => grid.move(0), End: () => grid.move(store.total - 1),
  Enter: () => actions.open(grid.focus),
  " ": () => { const here = rowNow(grid.focus); if (here) { anchor = grid.focus; selection.toggle(here); } },
  Escape: () => selection.clear(),
  g: () => guarded(review),
  "/": () => at("search").focus(),
  "?": help,
};

function step(by, shift) {
  if (!shift) { grid.move(grid.focus + by); anchor = grid.focus; return; }
  guarded(async () => { grid.move(grid.focus + by); await chooseTo(grid.focus); });
}

const inFace = {
  ArrowRight: () => guarded(() => face.step(1)), ArrowLeft: () => guarded(() => face.step(-1)),
  Escape: () => face.close(),
  p: () => guarded(() => face.accept()), k: () => guarded(() => face.keep()), s: () => guarded(() => face.decide("skip")),
  u: () => guarded(() => face.undo()), r: () => face.labels.reset(), f: () => face.zoom(), Enter: () => guarded(() => face.save()),
  e: () => wait("e", "expression: press 1–9"),
  m: () => wait("m", "mask: E expression, C compound expression, A action units, V valence and arousal, M all of them"),
  c: () => focus("compound"), a: () => focus("unit"), v: () => focus("va"), n: () => focus("note"),
  g: () => guarded(review),
  "?": help,
};

function wait(what, text) { waiting = what; face.hint(text); }

function focus(id) {
  if (!at(id)) { face.all = true; face.drawLabels(); }
  at(id).focus();
  at(id).select();
}

function inField(field, event) {
  if (event.key === "Escape") { field.blur(); return; }
  if (event.key !== "Enter" || !face.isOpen) return;
  event.preventDefault();
  const value = field.value.trim();
  if (field.id === "unit") { field.value = ""; if (/^\d+$/.test(value)) { face.labels.toggleUnit(String(Number(value))); focus("unit"); } else field.blur(); }
  else if (field.id === "compound" && value) { if (face.labels.setCompound(value)) document.activeElement.blur(); }
  else if (field.id === "va" && value) { if (face.labels.setVa(value)) document.activeElement.blur(); }
  else field.blur();
}

document.addEventListener("keydown", (event) => {
  if (!store.about || at("help").open) return;
  const field = event.target.closest("input, select, textarea");
  if (field) { inField(field, event); return; }
  if ((event.ctrlKey || event.metaKey) && event.key === "a" && !face.isOpen) { event.preventDefault(); selection.all(); return; }
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("button, summary") && (event.key === "Enter" || event.key === " ")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (face.isOpen && waiting) {
    const first = waiting;
    waiting = "";
    face.hint("");
    if (first === "e" && /^[1-9]$/.test(key)) { event.preventDefault(); face.labels.setExpression(store.about.expressions[Number(key) - 1]); return; }
    if (first === "m" && "ecavm".includes(key)) { event.preventDefault(); face.labels.mask(key); return; }
  }
  const does = (face.isOpen ? inFace : inGrid)[key];
  if (!does) return;
  event.preventDefault();
  does(event.shiftKey);
});

function bindBar() {
  let typing = 0;
  at("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => set("text", at("search").value.trim()), 250); });
  at("sort").replaceChildren(...orderNames());
  at("sort").addEventListener("change", () => set("sort", at("sort").value && (/^(score|finding|soft|confidence|intensity)/.test(at("sort").value) ? `-${at("sort").value}` : at("sort").value)));
  at("direction").addEventListener("click", () => { const sort = store.query.get("sort"); if (sort) set("sort", sort.startsWith("-") ? sort.slice(1) : `-${sort}`); });
  at("filtersbutton").addEventListener("click", () => at("filtersbutton").setAttribute("aria-expanded", String(document.body.classList.toggle("filters"))));
  at("reviewbutton").addEventListener("click", () => guarded(review));
  at("helpbutton").addEventListener("click", help);
}

function notes() {
  const { about } = store;
  at("notes").replaceChildren(...[
    about.kept_in.length ? `Faces of ${about.kept_in.join(", ")} must not leave this machine: their licence keeps them in. This page is served to this machine alone.` : "",
    about.not_audited ? `No findings: ${about.not_audited}` : "",
    about.skipped ? `${count(about.skipped)} uids of the list are not in the dataset.` : "",
  ].filter(Boolean).map((text) => el("p", {}, text)));
}

guarded(async () => {
  begin(await ask("about"));
  at("dataset").textContent = store.about.dataset;
  document.title = `${store.about.dataset}: faces`;
  face = new Face(actions);
  grid = new Grid(actions);
  selection = new Selection(actions);
  makeFilters();
  makeMap({ openRow: (row) => guarded(() => face.openRow(row)) });
  bindBar();
  notes();
  store.listeners.push((moved) => free(async () => {
    if (moved) { forget(); await refresh(true); }
    if (!store.face && face.isOpen) face.close();
    else if (store.face && store.face !== face.face?.uid) await openNamed();
  }));
  await refresh(true);
  if (store.face) await openNamed();
  else if (store.about.review) await review();
  at("grid").focus();
});

async function openNamed() {
  const found = await ask(`place?${store.query}&uid=${encodeURIComponent(store.face)}`);
  await face.openRow(found.row, found.place);
}
