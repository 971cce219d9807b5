// The side of the page: every filter, and beside each choice how many faces it has.

import { at, count, el } from "./dom.js";
import { drawPlane, planeFilter } from "./plane.js";
import { change, set, store, toggle, values } from "./store.js";

const UNIT_STATES = ["", "-", "~"], UNIT_WORDS = { "": "present", "-": "absent", "~": "no label" };
const TASKS = { expression: "expression", compound: "compound expression", au: "action units", va: "valence and arousal" };
const SHORT = { expression: "expression", compound: "compound", au: "AU", va: "VA" };
const CAUSES = { database: "not labelled by the database", review: "masked in a review", files: "not in the files" };
const groups = []; // { box, draw }
let counts = null;

const words = (key, value) => {
  const { about } = store;
  if (key === "task") return value.startsWith("-") ? `no ${TASKS[value.slice(1)] ?? value}` : TASKS[value] ?? value;
  if (key === "why") { const [, task, cause] = value.match(/^(\w+):(.*)$/s) ?? [null, "", value]; return `no ${SHORT[task]}: ${CAUSES[cause] ?? cause}`; }
  if (key === "au") { const unit = value.replace(/^[-~]/, ""); return `AU${unit} ${UNIT_WORDS[value.slice(0, value.length - unit.length)]}`; }
  if (key === "finding") return { any: "any finding", none: "no finding" }[value] ?? about.checks[value] ?? value;
  if (key === "copies") return value === "any" ? "has copies" : `copies ${value}`;
  if (key === "va") return `VA ${value.split(",").join(" ")}`;
  if (key === "map") return "part of the map";
  if (key === "rows") return value === "listed" ? "listed" : "chosen faces";
  if (["score", "soft", "confidence", "intensity"].includes(key)) return `${key} ${value.replace(":", " ")}`;
  return value === "none" ? `no ${key}` : value;
};

function choice(key, value, faces, most, label) {
  const on = values(key).includes(value);
  const bar = el("i", { class: "share" });
  bar.style.width = `${most ? (100 * faces) / most : 0}%`;
  return el("button", { type: "button", class: `choice${on ? " on" : ""}${faces ? "" : " empty"}`, "aria-pressed": String(on), onclick: () => toggle(key, value) },
    bar, el("span", {}, label ?? words(key, value)), el("b", {}, count(faces)));
}

function choices(key, names, all) {
  const found = counts.choices[key], listed = names ?? Object.keys(found);
  // Choices that nothing has are left out, unless they are chosen.
  const shown = listed.filter((name) => all || found[name] || values(key).includes(name));
  const most = Math.max(1, ...shown.map((name) => found[name] ?? 0));
  return shown.map((name) => choice(key, name, found[name] ?? 0, most));
}

function group(title, open, has, content) {
  const inner = el("div", { class: "inner" });
  const box = el("details", { open }, el("summary", {}, title), inner);
  groups.push({ box, draw: () => {
    box.hidden = !has();
    if (!box.hidden && box.open) inner.replaceChildren(...content().filter(Boolean));
  } });
  box.addEventListener("toggle", () => { if (counts && box.open) inner.replaceChildren(...content().filter(Boolean)); });
  return box;
}

// Tasks that no merged database labels are not missed.
const isTask = (task) => Object.values(store.about.tasks).some((has) => has.includes(task));

function whyMissing(task) {
  const found = Object.entries(counts.choices.why).filter(([value, faces]) => value.startsWith(`${task}:`) && (faces || values("why").includes(value)));
  const most = Math.max(1, ...found.map(([, faces]) => faces)), cause = (value) => value.slice(task.length + 1);
  return found.length ? [el("p", { class: "quiet" }, `no ${TASKS[task]}`), ...found.map(([value, faces]) => choice("why", value, faces, most, CAUSES[cause(value)] ?? cause(value)))] : [];
}

function units() {
  const chosen = values("au");
  return [el("div", { class: "unitgrid" }, Object.entries(store.about.action_units).map(([unit, name]) => {
    const state = UNIT_STATES.findIndex((sign) => chosen.includes(sign + unit)), sign = UNIT_STATES[state] ?? "";
    const faces = counts.choices.au[sign + unit];
    const next = UNIT_STATES[state + 1];
    return el("button", { type: "button", class: `unit s${state + 1}`, "data-unit": unit,
      title: `AU${unit} ${name}\npresent ${count(counts.choices.au[unit])}, absent ${count(counts.choices.au[`-${unit}`])}, no label ${count(counts.choices.au[`~${unit}`])}`,
      onclick: () => change((query) => {
        const kept = query.getAll("au").filter((value) => value.replace(/^[-~]/, "") !== unit);
        query.delete("au");
        for (const value of kept) query.append("au", value);
        if (next !== undefined) query.append("au", next + unit);
      }) }, el("b", {}, `AU${unit}`), el("small", {}, state < 0 ? short(faces) : `${UNIT_WORDS[sign]} ${short(faces)}`));
  })), el("p", { class: "quiet" }, "once: present; twice: absent; three times: no label")];
}

const short = (faces) => (faces < 10_000 ? count(faces) : `${Math.round(faces / 1000)}k`);

function ranges(key, names, least, most, step, label) {
  return names.map((name) => {
    const asked = values(key).find((value) => value.startsWith(`${name}:`)), [low, high] = asked ? asked.slice(name.length + 1).split("..") : ["", ""];
    const field = (value, which) => el("input", { type: "number", min: least, max: most, step, value: value ?? "", placeholder: which === 0 ? least : most,
      "aria-label": `${label(name)} ${which === 0 ? "from" : "to"}`, onchange: (event) => {
        const ends = which === 0 ? [event.target.value, high ?? ""] : [low, event.target.value];
        change((query) => {
          const kept = query.getAll(key).filter((other) => !other.startsWith(`${name}:`));
          query.delete(key);
          for (const other of kept) query.append(key, other);
          if (ends[0] || ends[1]) query.append(key, `${name}:${ends.join("..")}`);
        });
      } });
    return el("div", { class: "range" }, el("span", {}, label(name)), field(low, 0), "–", field(high, 1));
  });
}

function named(key) {
  const total = counts.names[key];
  return [...choices(key), el("form", { class: "exact", onsubmit: (event) => { event.preventDefault(); set(key, new FormData(event.target).get("name").trim()); } },
    el("input", { name: "name", placeholder: `database/${key}`, "aria-label": key }), el("span", { class: "quiet" }, `of ${count(total)}`))];
}

export function makeFilters() {
  const { about } = store, always = () => true, has = (key) => () => Object.values(counts.choices[key] ?? {}).some(Boolean) || values(key).length > 0;
  const teachers = Object.entries(about.teachers);
  at("filters").replaceChildren(
    group("Database", true, always, () => choices("database", about.databases)),
    group("Split", true, () => about.splits.length > 1, () => choices("split", about.splits)),
    group("Labelled", true, always, () => choices("task", Object.keys(TASKS).filter((task) => Object.values(about.tasks).some((has) => has.includes(task))).flatMap((task) => [task, `-${task}`]))),
    group("Why there is no label", false, has("why"), () => [...Object.keys(TASKS).filter(isTask).flatMap(whyMissing),
      el("p", { class: "quiet" }, "Reasons are counted by database, not kept by face: where one has several, a choice shows every face that may have it.")]),
    group("Expression", true, has("expression"), () => choices("expression")),
    group("Valence and arousal", true, always, () => { const box = planeFilter(); queueMicrotask(() => drawPlane(counts.plane)); return [box]; }),
    group("Action units", true, () => Object.keys(about.action_units).length > 0, units),
    group("Findings", true, () => !about.not_audited, () => [...choices("finding"), ...choices("severity"),
      ...ranges("score", ["any"], 0, 1, 0.05, () => "score")]),
    group("Decided", false, always, () => choices("decided", about.states)),
    group("Compound expression", false, () => Object.entries(counts.choices.compound).some(([name, faces]) => name !== "none" && faces), () => choices("compound")),
    group("Intensity", false, () => about.orders.some((name) => name.startsWith("intensity")), () => ranges("intensity",
      about.orders.filter((name) => name.startsWith("intensity")).map((name) => name.slice(9)), 0, 5, 1, (unit) => `AU${unit}`)),
    group("Teachers", true, () => teachers.length > 0, () => [el("p", { class: "quiet" }, "how far from the label, and how sure; 0 to 1"),
      ...ranges("soft", teachers.flatMap(([name, tasks]) => tasks.map((task) => `${name}.${task}`)), 0, 1, 0.05, (name) => name),
      ...ranges("confidence", teachers.filter(([, tasks]) => tasks.includes("expression")).map(([name]) => name), 0, 1, 0.05, (name) => `${name} is sure`)]),
    group("Copies", false, has("copies"), () => [choice("copies", "any", counts.choices.copies.any, counts.total)]),
    group("Release", false, () => counts.names.release > 1 || values("release").length > 0, () => choices("release")),
    group("Subject", false, has("subject"), () => named("subject")),
    group("Track", false, has("track"), () => named("track")),
    group("Named by hand", true, () => "rows" in counts.choices, () => choices("rows")),
  );
}

export function drawFilters(found) {
  counts = found;
  for (const { draw } of groups) draw();
  const chips = [];
  for (const [key, value] of store.query) {
    if (key === "sort") continue;
    chips.push(el("button", { type: "button", class: "chip", title: "remove", onclick: () => (["text", "va", "map"].includes(key) ? set(key, "") : toggle(key, value)) },
      key === "text" ? `“${value}”` : words(key, value), el("b", {}, "×")));
  }
  if (chips.length > 1) chips.push(el("button", { type: "button", class: "chip clear", onclick: () => change((query) => {
    for (const key of [...query.keys()]) if (key !== "sort") query.delete(key);
  }) }, "clear all"));
  at("active").replaceChildren(...chips);
}
