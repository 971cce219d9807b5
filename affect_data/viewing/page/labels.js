// The labels of one face, and how a person changes them. A draft is kept when one moves on.

import { copyOf, el, number, same, say } from "./dom.js";
import { store } from "./store.js";

const DRAFTS = "affectkit-drafts";
const drafts = new Map(JSON.parse(sessionStorage.getItem(DRAFTS) ?? "[]")); // uid -> labels

function keepDrafts() { sessionStorage.setItem(DRAFTS, JSON.stringify([...drafts].slice(-500))); }

export const hasDraft = (uid) => drafts.has(uid);
export const vaText = (va) => (va === null ? "no label" : `valence ${number(va[0])}, arousal ${number(va[1])}`);

export class Labels {
  constructor(face, redraw) {
    this.face = face;
    this.redraw = redraw;
    this.old = face.labels;
    this.draft = copyOf(drafts.get(face.uid) ?? face.labels);
    // What was decided and not applied yet stands in the fields again.
    if (!drafts.has(face.uid))
      for (const [name, value] of Object.entries(face.decision?.new ?? {}))
        this.draft[name] = typeof value === "object" && value !== null && !Array.isArray(value) ? { ...this.draft[name], ...value } : value;
  }

  changes() {
    const found = {};
    for (const name of ["expression", "compound_expression"]) if (this.draft[name] !== this.old[name]) found[name] = this.draft[name];
    if (!same(this.draft.va, this.old.va)) found.va = this.draft.va;
    for (const name of ["au", "au_intensity"]) {
      const units = Object.entries(this.draft[name]).filter(([unit, value]) => value !== this.old[name][unit]);
      if (units.length) found[name] = Object.fromEntries(units);
    }
    return found;
  }

  get differs() { return Object.keys(this.changes()).length > 0; }

  edited() {
    if (this.differs) drafts.set(this.face.uid, this.draft); else drafts.delete(this.face.uid);
    keepDrafts();
    this.redraw();
  }

  done() { drafts.delete(this.face.uid); keepDrafts(); }

  reset() { this.draft = copyOf(this.old); this.edited(); }

  setExpression(name) { this.draft.expression = name; this.edited(); }

  setCompound(text) {
    const wanted = text.trim().toLowerCase(), known = store.about.compounds;
    const near = known.includes(wanted) ? [wanted] : known.filter((name) => name.includes(wanted));
    if (near.length !== 1) { say(`"${text}" is ${near.length ? `any of ${near.join(", ")}` : `no compound expression; known: ${known.join(", ")}`}`); return false; }
    say("");
    this.draft.compound_expression = near[0];
    this.edited();
    return true;
  }

  toggleUnit(unit) {
    if (!(unit in this.old.au)) { say(`AU${unit} is no action unit of the vocabulary`); return; }
    say("");
    const old = this.old.au[unit], order = old === 1 ? [1, 0, null] : old === 0 ? [0, 1, null] : [null, 1, 0];
    this.setUnit(unit, order[(order.indexOf(this.draft.au[unit]) + 1) % 3]);
  }

  setUnit(unit, value) {
    this.draft.au[unit] = value;
    this.draft.au_intensity[unit] = value === this.old.au[unit] ? this.old.au_intensity[unit] : null;
    this.edited();
  }

  setVa(text) {
    const parts = text.trim().split(/[\s,;]+/).map(Number);
    if (parts.length !== 2 || parts.some((part) => !(part >= -1 && part <= 1))) { say("Valence and arousal are two numbers in [-1, 1], for example 0.3 -0.2"); return false; }
    say("");
    this.draft.va = parts;
    this.edited();
    return true;
  }

  mask(task) {
    if (task === "e" || task === "m") this.draft.expression = null;
    if (task === "c" || task === "m") this.draft.compound_expression = null;
    if (task === "v" || task === "m") this.draft.va = null;
    if (task === "a" || task === "m")
      for (const unit of Object.keys(this.draft.au)) { this.draft.au[unit] = null; this.draft.au_intensity[unit] = null; }
    this.edited();
  }

  // What a model says instead of the label, as a finding tells it; null if no finding does.
  prediction() {
    for (const { check, evidence } of this.face.findings) {
      const task = evidence.task, says = evidence.predicted ?? evidence.teacher_says;
      if (check !== "label_errors" && check !== "teacher") continue;
      if (task === "expression" && store.about.expressions.includes(says)) return { text: says, take: () => this.setExpression(says) };
      if (task === "valence" || task === "arousal") {
        const va = [...(this.old.va ?? [0, 0])], said = Math.max(-1, Math.min(1, Math.round(says * 100) / 100));
        va[task === "valence" ? 0 : 1] = said;
        return { text: `${task} ${number(said)}`, take: () => { this.draft.va = va; this.edited(); } };
      }
      const unit = /^AU(\d+)$/.exec(task ?? "")?.[1];
      if (unit) {
        const present = says === undefined ? !evidence.label : says === "present";
        return { text: `AU${unit} ${present ? "present" : "absent"}`, take: () => this.setUnit(unit, present ? 1 : 0) };
      }
    }
    return null;
  }

  // The editors of the tasks that the database labels; others wait behind a button.
  editors(tasks, all) {
    const shown = (task) => all || tasks.includes(task);
    return [shown("expression") && this.expressions(), shown("compound") && this.compound(), shown("au") && this.units(all), shown("va") && this.plane()].filter(Boolean);
  }

  head(title, key, task) {
    return el("h3", {}, title, " ", el("kbd", {}, key), el("button", { type: "button", class: "link", "data-mask": task, onclick: () => this.mask(task) }, "mask"));
  }

  chip(text, state, changed, onclick, title) {
    return el("button", { type: "button", tabIndex: -1, class: `label ${state}${changed ? " changed" : ""}`, title, onclick }, text);
  }

  expressions() {
    const { old, draft } = this;
    const votes = this.face.votes, share = (i) => (votes?.[i] ? ` ${Math.round(votes[i] * 100)} %` : "");
    return el("div", { class: "task", id: "expressions" }, this.head("Expression", "E", "e"), el("div", { class: "labels" },
      store.about.expressions.map((name, i) => this.chip([el("small", {}, String(i + 1)), ` ${name}`, el("small", {}, share(i))], draft.expression === name ? "on" : "none",
        draft.expression !== old.expression && (name === draft.expression || name === old.expression), () => this.setExpression(name))),
      draft.expression === null ? el("span", { class: "masked text" }, old.expression === null ? "no label" : `masked, was ${old.expression}`) : null));
  }

  compound() {
    const differs = this.draft.compound_expression !== this.old.compound_expression;
    return el("div", { class: "task", id: "compounds" }, this.head("Compound expression", "C", "c"), el("div", { class: "labels" },
      el("input", { id: "compound", size: 22, placeholder: "happily surprised", "aria-label": "compound expression" }),
      el("span", { id: "compoundtext", class: differs ? "changedtext" : "quiet" }, (this.draft.compound_expression ?? "no label") + (differs ? ` (was ${this.old.compound_expression ?? "no label"})` : ""))));
  }

  units(all) {
    const { old, draft } = this, names = store.about.action_units;
    const coded = Object.keys(draft.au).filter((unit) => draft.au[unit] !== null || old.au[unit] !== null || draft.au_intensity[unit] !== null || old.au_intensity[unit] !== null || (all && unit in names));
    return el("div", { class: "task", id: "units" }, this.head("Action units", "A", "a"), el("div", { class: "labels" }, coded.map((unit) => {
      const value = draft.au[unit], state = value === 1 ? "on" : value === 0 ? "off" : "none", intensity = draft.au_intensity[unit];
      return this.chip([el("b", {}, `AU${unit}`), ` ${names[unit] ?? ""}`, intensity === null ? "" : el("small", {}, ` ${number(intensity)}`)], state,
        value !== old.au[unit] || intensity !== old.au_intensity[unit], () => this.toggleUnit(unit), value === 1 ? "present" : value === 0 ? "absent" : "no label");
    }), coded.length ? null : el("span", { class: "masked text" }, "no label"),
      el("input", { id: "unit", inputMode: "numeric", size: 9, placeholder: "AU number", "aria-label": "action unit to change" })));
  }

  plane() {
    const changed = !same(this.draft.va, this.old.va), pad = el("div", { id: "pad", role: "img", "aria-label": "valence to the right, arousal upward" });
    for (const [va, kind] of [[this.old.va, "old"], [this.draft.va, changed ? "changed" : ""]]) {
      if (va === null || (kind === "old" && !changed)) continue;
      const dot = el("i", { class: kind });
      dot.style.left = `${50 + 50 * va[0]}%`;
      dot.style.top = `${50 - 50 * va[1]}%`;
      pad.append(dot);
    }
    for (const { teacher, va } of this.face.opinions) {
      if (!va) continue;
      const dot = el("i", { class: "teacher", title: `${teacher}: ${vaText(va)}` });
      dot.style.left = `${50 + 50 * va[0]}%`;
      dot.style.top = `${50 - 50 * va[1]}%`;
      pad.append(dot);
    }
    pad.addEventListener("click", (event) => {
      const frame = pad.getBoundingClientRect(), clip = (value) => Math.max(-1, Math.min(1, Math.round(value * 100) / 100));
      this.draft.va = [clip((2 * (event.clientX - frame.left)) / frame.width - 1), clip(1 - (2 * (event.clientY - frame.top)) / frame.height)];
      this.edited();
    });
    return el("div", { class: "task", id: "planetask" }, this.head("Valence and arousal", "V", "v"), el("div", { class: "vaeditor" }, pad,
      el("div", {}, el("input", { id: "va", size: 11, placeholder: "0.3 -0.2", "aria-label": "valence and arousal" }),
        el("p", { id: "vatext", class: changed ? "changedtext" : "quiet" }, vaText(this.draft.va) + (changed ? ` (was ${vaText(this.old.va)})` : "")))));
  }
}
