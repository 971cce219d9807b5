// Faces that were chosen, and one decision for all of them.

import { ask, at, count, el, say } from "./dom.js";
import { set, store } from "./store.js";

const LISTED_AT_MOST = 400;

export class Selection {
  constructor(actions) {
    this.actions = actions;
    this.chosen = new Map(); // row -> id of the decision that was shown
    this.whole = false; // all faces of the view
    this.last = null; // id of the last decision, for undo
  }

  get size() { return this.whole ? store.total : this.chosen.size; }

  has(row) { return this.whole || this.chosen.has(row); }

  toggle(face) {
    if (this.whole) this.clear();
    if (!this.chosen.delete(face.row)) this.chosen.set(face.row, face.decided?.id ?? "");
    this.draw();
  }

  add(faces) {
    this.whole = false;
    for (const face of faces) this.chosen.set(face.row, face.decided?.id ?? "");
    this.draw();
  }

  all() { this.chosen.clear(); this.whole = store.total > 0; this.version = store.version; this.draw(); }

  clear() { this.chosen.clear(); this.whole = false; this.draw(); }

  draw() {
    const bar = at("selection"), { about } = store;
    bar.hidden = !this.size && !this.last;
    if (!this.size) {
      bar.replaceChildren(...(this.last ? [el("span", {}, this.last.told), this.button("Undo", () => this.undo()), this.button("×", () => { this.last = null; this.draw(); }, "close")] : []));
      this.actions.changed();
      return;
    }
    const expression = el("select", { "aria-label": "expression for all" }, el("option", { value: "" }, "set expression…"),
      about.expressions.map((name) => el("option", { value: name }, name)));
    expression.addEventListener("change", () => this.decide("change", { expression: expression.value }, `expression ${expression.value}`));
    const mask = el("select", { "aria-label": "mask a task for all" }, el("option", { value: "" }, "mask…"),
      Object.entries({ expression: "expression", compound: "compound expression", au: "action units", va: "valence and arousal" })
        .map(([task, label]) => el("option", { value: task }, label)));
    mask.addEventListener("change", () => this.decide("change", masked(mask.value), `no label of ${mask.selectedOptions[0].textContent}`));
    bar.replaceChildren(...[el("b", {}, `${count(this.size)} chosen`),
      this.size < store.total ? this.button(`all ${count(store.total)}`, () => this.all()) : null,
      expression, mask, this.button("keep", () => this.decide("keep", {}, "keep the labels")),
      !this.whole && this.chosen.size <= LISTED_AT_MOST ? this.button("review these", () => this.review()) : null,
      this.button("clear", () => this.clear())].filter(Boolean));
    this.actions.changed();
  }

  button(text, onclick, label) { return el("button", { type: "button", onclick, "aria-label": label }, text); }

  review() {
    const rows = [...this.chosen.keys()].join(",");
    this.clear();
    set("rows", rows);
    this.actions.review();
  }

  async decide(action, wanted, words) {
    const size = this.size;
    if (size > store.about.most_at_once) { say(`One decision is about at most ${count(store.about.most_at_once)} faces; choose fewer.`); this.draw(); return; }
    if (!window.confirm(`${words}: decide this for ${count(size)} face${size > 1 ? "s" : ""}?`)) { this.draw(); return; }
    const rows = this.whole ? {} : { rows: [...this.chosen.keys()], seen: Object.fromEntries([...this.chosen].filter(([, id]) => id)) };
    const view = this.whole ? { view: store.query.toString(), expected: size, version: this.version } : {};
    try {
      const made = await ask("decide", { ...rows, ...view, action, new: wanted, why: "" });
      const left = [made.unchanged ? `${count(made.unchanged)} had it already` : "", made.meanwhile ? `${count(made.meanwhile)} were decided by somebody else meanwhile` : ""];
      this.last = { id: made.id, told: `${words}: ${count(made.decided)} decided${left.filter(Boolean).map((text) => `, ${text}`).join("")}` };
      this.chosen.clear();
      this.whole = false;
      say("");
    } catch (error) { say(error.message); }
    this.draw();
    this.actions.decided();
  }

  async undo() {
    if (!this.last) return;
    try {
      const undone = await ask("undo", { id: this.last.id });
      say(`${count(undone.rows.length)} decision${undone.rows.length > 1 ? "s" : ""} taken back`, true);
      this.last = null;
    } catch (error) { say(error.message); }
    this.draw();
    this.actions.decided();
  }
}

export function masked(task) {
  const units = Object.fromEntries(Object.keys(store.about.action_units).map((unit) => [unit, null]));
  return { expression: { expression: null }, compound: { compound_expression: null }, va: { va: null }, au: { au: units, au_intensity: units } }[task];
}
