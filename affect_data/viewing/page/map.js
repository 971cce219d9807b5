// The map: stored features in a plane, coloured by what is known of the faces. A rectangle that a person draws in it is a filter of the grid.

import { ask, at, canvas, colour, count, el, say } from "./dom.js";
import { set, store, toggle, values } from "./store.js";

const COLOURS = 9, FEW = 3000;
const KINDS = { expression: "expression", database: "database", finding: "finding" };
let shown = "", kind = "expression", points = null, drawing = null, asked = 0, open = null;

export function makeMap(actions) {
  open = actions.openRow;
  const { maps } = store.about;
  at("mapbutton").hidden = !maps.length;
  at("mapbutton").addEventListener("click", () => (at("map").hidden ? show() : hide()));
  if (!maps.length) return;
  shown = mapAsked() ?? maps[0];
  const pick = (label, names, chosen, changed) => el("select", { "aria-label": label, onchange: (event) => { changed(event.target.value); load(); } },
    Object.entries(names).map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  const box = el("div", { id: "mapbox", role: "img", "aria-label": "map of stored features; drag to choose a rectangle, click to open a face" });
  box.addEventListener("pointerdown", (event) => { box.setPointerCapture(event.pointerId); drawing = { from: point(event), to: point(event) }; });
  box.addEventListener("pointermove", (event) => { if (drawing) { drawing.to = point(event); outline([...drawing.from, ...drawing.to]); } });
  box.addEventListener("pointerup", drawn);
  at("map").replaceChildren(
    el("header", {}, pick("map", Object.fromEntries(maps.map((name) => [name, name.replace(/\.(\w+)$/, (_, method) => ` · ${method.toUpperCase()}`)])), shown, (name) => { shown = name; if (values("map").length) set("map"); }),
      el("label", {}, "colour ", pick("colour", KINDS, kind, (name) => { kind = name; })),
      el("button", { type: "button", class: "close", "aria-label": "close the map", onclick: hide }, "×")),
    box, el("div", { id: "legend" }), el("p", { id: "maptold", class: "quiet" }));
  if (mapAsked()) show();
}

const mapAsked = () => { const [value] = values("map"), name = value?.slice(0, value.lastIndexOf(":")); return store.about.maps.includes(name) ? name : null; };

function show() {
  at("map").hidden = false;
  at("mapbutton").setAttribute("aria-expanded", "true");
  document.body.classList.add("mapped");
  load();
}

function hide() {
  at("map").hidden = true;
  at("mapbutton").setAttribute("aria-expanded", "false");
  document.body.classList.remove("mapped");
}

// The map shows what all other filters let through.
export async function load() {
  if (!store.about.maps.length || at("map").hidden) return;
  const mine = ++asked, others = new URLSearchParams(store.query);
  for (const key of ["map", "sort"]) others.delete(key);
  if (!points) at("maptold").textContent = "The map is being made…";
  try {
    const found = await ask(`map?name=${encodeURIComponent(shown)}&colour=${kind}&${others}`);
    if (mine === asked) { points = found; draw(); }
  } catch (error) { say(error.message); }
}

// Names and colours of the codes: those of expressions are always the same, of databases the ones with most faces have their own.
function classes() {
  const { about } = store, used = new Map();
  for (const code of points.codes) used.set(code, (used.get(code) ?? 0) + 1);
  const names = { expression: about.expressions, database: about.databases, finding: about.severities }[kind];
  const byCount = [...used.keys()].filter((code) => code >= 0).sort((one, other) => used.get(other) - used.get(one));
  const paint = (code) => {
    if (code < 0) return colour("--none");
    if (kind === "finding") return colour(["--error", "--changed", "--accent"][code] ?? "--none");
    const place = kind === "expression" ? code : byCount.indexOf(code);
    return place < COLOURS ? colour(`--class${place}`) : colour("--quiet");
  };
  const known = byCount.sort((one, other) => one - other).map((code) => ({ code, name: names[code], paint: paint(code) }));
  return used.has(-1) ? [...known, { code: -1, name: "none", paint: paint(-1) }] : known;
}

function draw() {
  const side = at("mapbox").clientWidth, found = classes(), paints = new Map(found.map((one) => [one.code, one.paint]));
  const picture = canvas(side, side, (pen) => {
    const few = points.codes.length < FEW, size = few ? 6 : 3;
    pen.globalAlpha = few ? 0.85 : 0.6;
    // Faces without a label lie below those with one.
    for (const below of [true, false]) points.codes.forEach((code, i) => {
      if ((code < 0) !== below) return;
      pen.fillStyle = paints.get(code);
      pen.beginPath();
      pen.roundRect(points.x[i] * (side - size), (1 - points.y[i]) * (side - size), size, size, few ? size / 2 : 0);
      pen.fill();
    });
  });
  at("mapbox").replaceChildren(picture);
  const key = kind === "finding" ? "severity" : kind;
  at("legend").replaceChildren(...found.map(({ code, name, paint }) => {
    const dot = el("i");
    dot.style.background = paint;
    const value = code >= 0 ? name : "none";
    return el("button", { type: "button", class: `key${values(key).includes(value) ? " on" : ""}`, onclick: () => toggle(kind === "finding" && code < 0 ? "finding" : key, value) }, dot, code < 0 && kind === "expression" ? "no expression" : code < 0 ? "no finding" : name);
  }));
  const all = points.of === points.codes.length;
  at("maptold").textContent = `${all ? count(points.of) : `${count(points.codes.length)} of ${count(points.of)}`} faces. Drag: only these in the grid. Click: the nearest face.`;
  const value = values("map")[0];
  outline(value && mapAsked() === shown ? value.slice(value.lastIndexOf(":") + 1).split(",").map(Number) : null);
}

function point(event) {
  const frame = at("mapbox").getBoundingClientRect(), clip = (value) => Math.max(0, Math.min(1, Math.round(value * 1000) / 1000));
  return [clip((event.clientX - frame.left) / frame.width), clip(1 - (event.clientY - frame.top) / frame.height)];
}

function outline(corners) {
  at("mapbox").querySelector(".rectangle")?.remove();
  if (!corners) return;
  const [x0, y0, x1, y1] = corners, box = el("i", { class: "rectangle" });
  box.style.left = `${100 * Math.min(x0, x1)}%`;
  box.style.width = `${100 * Math.abs(x1 - x0)}%`;
  box.style.top = `${100 * (1 - Math.max(y0, y1))}%`;
  box.style.height = `${100 * Math.abs(y1 - y0)}%`;
  at("mapbox").append(box);
}

function drawn() {
  if (!drawing) return;
  const [x0, y0] = drawing.from, [x1, y1] = drawing.to;
  drawing = null;
  if (Math.abs(x1 - x0) > 0.01 && Math.abs(y1 - y0) > 0.01) { set("map", `${shown}:${[x0, y0, x1, y1].join(",")}`); return; }
  if (values("map").length) { set("map"); return; }
  nearest(x0, y0);
}

function nearest(x, y) {
  let best = null, least = 0.03 ** 2;
  points?.rows.forEach((row, i) => { const apart = (points.x[i] - x) ** 2 + (points.y[i] - y) ** 2; if (apart < least) { best = row; least = apart; } });
  if (best !== null) open(best);
}
