// A face of the grid: its picture and the labels of all tasks at a glance.

import { el, number } from "./dom.js";
import { set, store } from "./store.js";
import { show } from "./thumbs.js";

const UNITS_SHOWN = 5;

export function vaDot(va, small = "small") {
  const plane = el("span", { class: `va ${small}${va ? "" : " masked"}`, title: va ? `valence ${number(va[0])}, arousal ${number(va[1])}` : "no valence and arousal" });
  if (va) {
    const dot = el("i");
    dot.style.left = `${50 + 50 * va[0]}%`;
    dot.style.top = `${50 - 50 * va[1]}%`;
    plane.append(dot);
  }
  return plane;
}

export function unitText(face) {
  const names = store.about.action_units;
  return face.present.map((unit) => `AU${unit} ${names[unit]}${unit in face.intensity ? ` ${number(face.intensity[unit])}` : ""}`).join("\n");
}

function units(face) {
  if (!face.present.length && !face.absent) return el("span", { class: "masked text", title: "no label of any action unit" }, "no AU");
  if (!face.present.length) return el("span", { class: "quiet", title: `${face.absent} action units are labelled absent` }, `0 of ${face.absent} AU`);
  const shown = face.present.slice(0, UNITS_SHOWN), more = face.present.length - shown.length;
  return el("span", { class: "units", title: unitText(face) }, shown.map((unit) => el("b", {}, String(unit))), more ? el("b", { class: "more" }, `+${more}`) : null);
}

export function name(face) {
  if (face.compound >= 0) return el("span", { class: "name" }, store.about.compounds[face.compound]);
  if (face.expression < 0) return el("span", { class: "masked text", title: "no label of an expression" }, "no expression");
  return el("span", { class: "name" }, store.about.expressions[face.expression]);
}

const MARKS = { keep: "✓", correct: "✎", mask: "▨", skip: "…" };

export function fill(cell, face, size, before) {
  const { about } = store;
  const thumb = el("div", { class: "thumb" });
  thumb.style.width = thumb.style.height = `${size}px`;
  show(thumb, face.row, size);
  const grouped = { track: "track", subject: "subject", copies: "copies" }[(store.query.get("sort") ?? "").replace("-", "")];
  const starts = grouped && face[grouped] !== null && (!before || before[grouped] !== face[grouped]);
  const parts = [
    thumb,
    el("span", { class: "pick", title: "choose   Space" }),
    face.severity === null ? null : el("i", { class: `mark ${about.severities[face.severity]}`,
      title: face.checks.map((check) => about.checks[check]).join("\n") }, String(face.checks.length)),
    face.decided ? el("i", { class: "decided", title: `${face.decided.action}, ${face.decided.who}` }, MARKS[face.decided.action]) : null,
    starts ? el("button", { type: "button", class: "group", tabIndex: -1, title: "only these", onclick: (event) => { event.stopPropagation(); set(grouped, String(face[grouped])); } }, grouped === "copies" ? `copies ${face.copies}` : face[grouped]) : null,
    el("div", { class: "line" }, name(face), vaDot(face.va)),
    el("div", { class: "line" }, units(face)),
    el("div", { class: "line quiet" }, `${about.databases[face.database]} · ${about.splits[face.split]}`),
  ];
  cell.replaceChildren(...parts.filter(Boolean));
  cell.title = "";
  cell.setAttribute("aria-label", face.uid);
}
