// One face large: why it is doubted, its labels beside what models say, where it comes from, what is around it; and the decision about it.

import { ask, at, blob, count, el, number, say } from "./dom.js";
import { name, unitText, vaDot } from "./cell.js";
import { Labels, vaText } from "./labels.js";
import { openFace, rowAt, store } from "./store.js";
import { show } from "./thumbs.js";
import { timeLine } from "./timeline.js";

const SMALL = 84, TASKS = { expression: "expression", compound: "compound", au: "AU", va: "VA" };

export class Face {
  constructor(actions) {
    this.actions = actions;
    this.place = null; // in the view; null for a face outside of it
    this.face = null;
    this.labels = null;
    this.whole = false;
    this.all = false;
    this.note = "";
    this.made = JSON.parse(sessionStorage.getItem("affectkit-made") ?? "[]"); // ids of this page's decisions, for undo
    this.latest = 0;
  }

  get isOpen() { return !at("face").hidden; }

  async openPlace(place) {
    if (place < 0 || place >= store.total) return;
    const shown = await rowAt(place);
    await this.openRow(shown.row, place);
  }

  async openRow(row, place = null) {
    const turn = ++this.latest;
    const face = await ask(`face/${row}`);
    if (place === null) place = (await ask(`place?${store.query}&row=${row}`)).place;
    if (turn !== this.latest) return;
    const first = !this.isOpen;
    this.place = place;
    this.face = face;
    this.note = "";
    this.labels = new Labels(face, () => this.drawLabels());
    at("face").hidden = false;
    document.body.classList.add("open");
    openFace(face.uid, !first);
    this.draw();
  }

  close() {
    this.latest += 1;
    at("face").hidden = true;
    document.body.classList.remove("open");
    openFace("");
    this.actions.closed(this.place);
    this.face = null;
  }

  draw() {
    const { face } = this;
    at("face").replaceChildren(
      el("header", { class: "facebar" },
        this.button("‹", "previous face   ←", () => this.step(-1), "prev"),
        el("span", { class: "place" }, this.place === null ? "outside of the view" : [el("input", { id: "jump", inputMode: "numeric", size: 6, value: String(this.place + 1), "aria-label": "place to jump to",
          onchange: (event) => this.actions.guarded(() => this.openPlace(Math.round(Number(event.target.value)) - 1)) }), ` of ${count(store.total)}`]),
        this.button("›", "next face   →", () => this.step(1), "next"),
        el("span", { id: "progress", class: "quiet" }),
        el("span", { class: "gap" }),
        this.button("×", "back to the grid   Esc", () => this.close(), "close")),
      el("div", { class: "facegrid" },
        el("div", { class: "left" }, el("div", { class: "portrait" }, el("img", { id: "picture", alt: "" }), el("p", { id: "nopicture", class: "quiet", hidden: true }, "no picture at hand"),
          this.button("whole", "whole picture   F", () => this.zoom(), "zoom")), this.provenance()),
        el("div", { class: "middle" }, this.why(), this.said(), el("div", { id: "editors" }), this.actionsBar()),
        el("div", { class: "right" }, this.strip("Around it in time", "frames", face.around), this.strip("Copies of the picture", "copies", face.copies),
          el("div", { id: "time" }), this.rules())));
    this.drawPicture();
    this.drawLabels();
    this.drawProgress();
    this.fillStrips();
    at("face").scrollTop = 0;
  }

  button(text, title, onclick, id) { return el("button", { type: "button", id, title, "aria-label": title.split("  ")[0], onclick: () => this.actions.guarded(onclick) }, text); }

  // Why the face is here, first and in a sentence.
  why() {
    const { findings } = this.face;
    if (!findings.length) return el("p", { id: "why", class: "none" }, store.about.not_audited ? "Nobody has looked for mistakes here yet: the dataset was not audited." : "No check doubts this face.");
    return el("div", { id: "why" }, findings.map((finding, i) => el("p", { class: i ? "" : "first" }, el("span", { class: `severity ${finding.severity}`, title: `${finding.title}, score ${finding.score.toFixed(2)}` }, finding.severity), ` ${finding.words}`)));
  }

  // What models say beside the label, as bars.
  said() {
    const bars = [], { face } = this, label = face.labels;
    const bar = (title, value, isLabel) => {
      const share = el("i");
      share.style.width = `${100 * value}%`;
      return el("div", { class: `bar${isLabel ? " mine" : ""}` }, el("span", {}, title), el("span", { class: "track" }, share), el("b", {}, value.toFixed(2)));
    };
    for (const opinion of face.opinions) {
      const told = [];
      if (opinion.expression) {
        const sorted = Object.entries(opinion.expression).sort((a, b) => b[1] - a[1]);
        const shown = sorted.filter(([name, value], i) => i < 3 || name === label.expression);
        told.push(...shown.map(([name, value]) => bar(name + (name === label.expression ? " (label)" : ""), value, name === label.expression)));
      }
      if (opinion.au) {
        const apart = Object.entries(opinion.au).filter(([unit, value]) => (label.au[unit] ?? null) !== null ? Math.abs(value - label.au[unit]) > 0.5 : value > 0.7).slice(0, 4);
        told.push(...apart.map(([unit, value]) => bar(`AU${unit} ${store.about.action_units[unit] ?? ""}${label.au[unit] === null ? "" : ` (label: ${label.au[unit] ? "present" : "absent"})`}`, value, false)));
      }
      if (opinion.va) told.push(el("p", { class: "quiet" }, `${vaText(opinion.va)}${label.va ? `; the label says ${vaText(label.va)}` : ""}`));
      bars.push(el("div", { class: "opinion" }, el("h3", {}, `${opinion.teacher}${opinion.out_of_fold ? ", has not seen this face" : ""}`), told));
    }
    // Where no teacher has labelled the dataset, what the audit's own model said.
    const doubt = face.findings.find((finding) => finding.check === "label_errors" && typeof finding.evidence.predicted === "string");
    if (!bars.length && doubt) {
      const of = doubt.evidence.task === "expression" ? "" : `${doubt.evidence.task} `;
      const known = doubt.evidence.probability;
      bars.push(el("div", { class: "opinion" }, known === undefined ? null : bar(`${of}${doubt.evidence.predicted}`, known, false), bar(`${of}${doubt.evidence.label} (label)`, 1 - doubt.score, true)));
    }
    return el("div", { id: "said" }, bars);
  }

  provenance() {
    const { face } = this;
    const known = [["file", face.source], ["database", `${face.database} ${face.release}`], ["split", face.split], ["subject", face.subject],
      ["track", face.track ? face.track + (face.frame < 0 ? "" : `, frame ${face.frame}`) : ""], ["scope", face.label_scope === "clip" ? "the whole clip" : ""],
      ["box", face.box ? face.box.map(number).join(" ") : ""]].filter(([, text]) => text);
    const missing = Object.entries(face.missing).map(([task, why]) => [`no ${TASKS[task]}`, why]);
    return el("div", { id: "provenance" }, el("p", { id: "uid" }, face.uid), el("dl", {}, known.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      missing.length ? el("dl", { id: "missing" }, missing.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])) : null);
  }

  actionsBar() {
    return el("div", { class: "decide" },
      el("label", { class: "note" }, "note ", el("kbd", {}, "N"), " ", el("input", { id: "note", maxLength: 500, placeholder: "why, if it is not plain", oninput: (event) => { this.note = event.target.value; } })),
      el("div", { id: "buttons" }), el("p", { id: "hint", class: "quiet" }), el("p", { id: "decision" }));
  }

  drawLabels() {
    if (!this.face) return;
    const tasks = store.about.tasks[this.face.database] ?? [];
    at("editors").replaceChildren(...this.labels.editors(tasks, this.all),
      el("button", { type: "button", class: "link", onclick: () => { this.all = !this.all; this.drawLabels(); } }, this.all ? "only what the database labels" : "other labels…"));
    const { differs } = this.labels, prediction = this.labels.prediction();
    const key = (text, letter, action, id, off) => el("button", { type: "button", id, disabled: off, onclick: (event) => { event.currentTarget.blur(); this.actions.guarded(action); } }, text, " ", el("kbd", {}, letter));
    at("buttons").replaceChildren(...[
      prediction && key(`Accept ${prediction.text}`, "P", () => this.accept(), "accept", false),
      key("Keep labels", "K", () => this.keep(), "keep", differs),
      key("Save change", "Enter", () => this.save(), "save", !differs),
      key("Skip", "S", () => this.decide("skip"), "skip", false),
      key("Undo", "U", () => this.undo(), "undo", !this.made.length),
      differs && key("Reset", "R", () => this.labels.reset(), "reset", false)].filter(Boolean));
    const { decision } = this.face;
    at("decision").textContent = decision ? `decided: ${decision.action} by ${decision.who}, ${decision.when.slice(0, 16).replace("T", " ")}${decision.why ? ` (${decision.why})` : ""}` : "";
  }

  async drawPicture() {
    const { face } = this, image = at("picture");
    at("nopicture").hidden = true;
    try {
      const url = await blob(`picture/${face.row}/${this.whole ? "960?whole" : "480"}`);
      if (this.face !== face) { URL.revokeObjectURL(url); return; }
      if (image.src) URL.revokeObjectURL(image.src);
      image.src = url;
    } catch { at("nopicture").hidden = false; image.removeAttribute("src"); }
  }

  zoom() { this.whole = !this.whole; this.drawPicture(); }

  drawProgress() {
    const told = Object.entries(store.about.actions).map(([action, faces]) => `${action} ${count(faces)}`).join(", ");
    at("progress").textContent = told ? `decided: ${told}` : "nothing decided yet";
  }

  strip(title, id, rows) {
    return rows.length ? el("div", { class: "strip", id }, el("h3", {}, title), el("div", { class: "figures" })) : null;
  }

  async fillStrips() {
    const { face } = this, rows = [...face.around, ...face.copies];
    if (rows.length) {
      const found = new Map((await ask(`shown?rows=${rows.join(",")}`)).rows.map((other) => [other.row, other]));
      if (this.face !== face) return;
      for (const [id, list] of [["frames", face.around], ["copies", face.copies]])
        at(id)?.querySelector(".figures").replaceChildren(...list.map((row) => this.figure(found.get(row), id)));
    }
    if (face.track && face.frame >= 0) {
      const box = at("time"), line = await timeLine(face.row, Math.max(240, box.clientWidth), (row) => this.actions.guarded(() => this.openRow(row)));
      if (this.face === face && line) box.replaceChildren(el("h3", {}, "Along the track"), line);
    }
  }

  figure(other, id) {
    const thumb = el("div", { class: "thumb" });
    thumb.style.width = thumb.style.height = `${SMALL}px`;
    show(thumb, other.row, SMALL);
    const caption = id === "frames" ? `frame ${other.frame}` : `${store.about.databases[other.database]}, ${store.about.splits[other.split]}`;
    return el("button", { type: "button", class: "figure", title: `${other.uid}\n${unitText(other)}`, onclick: () => this.actions.guarded(() => this.openRow(other.row)) },
      thumb, el("span", {}, caption), el("span", { class: "line" }, name(other), vaDot(other.va)), el("span", { class: "units" }, other.present.slice(0, 4).map((unit) => el("b", {}, String(unit)))));
  }

  rules() {
    const { findings } = this.face;
    return findings.length ? el("details", { id: "rules" }, el("summary", {}, "the rules, and what was found"), findings.map((finding) => el("p", { class: "quiet" }, el("b", {}, `${finding.title} ${finding.score.toFixed(2)}: `), finding.rule, " ", JSON.stringify(finding.evidence)))) : null;
  }

  hint(text) { at("hint").textContent = text; }

  step(by) { return this.openPlace(this.place === null ? 0 : Math.max(0, Math.min(store.total - 1, this.place + by))); }

  keep() { return this.labels.differs ? say("Labels were changed: Enter saves the change, R resets it.") : this.decide("keep"); }

  save() { return this.labels.differs ? this.decide("change") : say("No label was changed: K keeps the labels."); }

  accept() {
    const prediction = this.labels.prediction();
    if (!prediction) { say("No model says anything else about this face."); return undefined; }
    prediction.take();
    return this.save();
  }

  async decide(action) {
    const { face } = this, wanted = action === "change" ? this.labels.changes() : {};
    try {
      const made = await ask("decide", { rows: [face.row], action, new: wanted, why: this.note, seen: face.decision ? { [face.row]: face.decision.id } : {} });
      this.remember(made.id);
    } catch (error) {
      if (error.status === 409) await this.openRow(face.row, this.place);
      throw error;
    }
    this.labels.done();
    say("");
    // The view may lose the face by this, as one of undecided faces does: then the next one has its place.
    const at_ = this.place;
    await this.actions.decided();
    const next = await ask(`next?${store.query}&after=${at_ === null ? -1 : await this.stillThere(face.row, at_)}`);
    if (next.place === null) { this.close(); say(`All ${count(store.total)} faces of this view are decided. Apply them: affect-data review apply ${store.about.file} ${store.about.dataset}`, true); }
    else await this.openPlace(next.place);
  }

  async stillThere(row, place) { return place < store.total && (await rowAt(place)).row === row ? place : place - 1; }

  remember(id) { this.made.push(id); this.keepMade(); }

  keepMade() { sessionStorage.setItem("affectkit-made", JSON.stringify(this.made.slice(-1000))); }

  async undo() {
    if (!this.made.length) { say("Nothing to undo: this page has decided nothing yet. Earlier decisions are changed by deciding again."); return; }
    const id = this.made.pop();
    this.keepMade();
    const { rows } = await ask("undo", { id });
    await this.actions.decided();
    if (rows.length) await this.openRow(rows[0]);
  }
}
