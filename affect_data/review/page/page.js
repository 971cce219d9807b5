"use strict";
// One item at a time: the page holds no queue. Text from the dataset is only ever set as text.

const at = (id) => document.getElementById(id);
const made = "affectkit-made"; // ids of the decisions of this page, for undo
let overview = null, item = null, draft = null, index = null, waiting = "", whole = false, busy = false;

async function ask(path, body) {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let answer;
  try { answer = await fetch(path, request); }
  catch { throw new Error("affect-data review is not running any more; start it again: what was saved is safe"); }
  const document_ = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(document_.error), { status: answer.status });
  return document_;
}

function element(tag, text, className) {
  const made_ = document.createElement(tag);
  if (text !== undefined) made_.textContent = text;
  if (className) made_.className = className;
  return made_;
}

function say(text, good) {
  at("message").textContent = text;
  at("message").hidden = !text;
  at("message").className = good ? "good" : "";
}

const number = (value) => (Number.isInteger(value) ? String(value) : String(Math.round(value * 1000) / 1000));
const vaText = (va) => (va === null ? "no label" : `valence ${number(va[0])}, arousal ${number(va[1])}`);
const copyOf = (labels) => JSON.parse(JSON.stringify(labels));

function changes() {
  const old = item.labels, found = {};
  for (const name of ["expression", "compound_expression"])
    if (draft[name] !== old[name]) found[name] = draft[name];
  if (JSON.stringify(draft.va) !== JSON.stringify(old.va)) found.va = draft.va;
  for (const name of ["au", "au_intensity"]) {
    const units = Object.entries(draft[name]).filter(([unit, value]) => value !== old[name][unit]);
    if (units.length) found[name] = Object.fromEntries(units);
  }
  return found;
}

function chip(text, className, changed, onclick, title) {
  const button = element("button", text, className + (changed ? " changed" : ""));
  button.type = "button";
  button.tabIndex = -1;
  if (title) button.title = title;
  button.addEventListener("click", onclick);
  return button;
}

function drawLabels() {
  const old = item.labels;
  at("expressions").replaceChildren(
    ...overview.expressions.map((name, i) =>
      chip(`${i + 1} ${name}`, draft.expression === name ? "on" : "none",
        draft.expression !== old.expression && (name === draft.expression || name === old.expression),
        () => setExpression(i))),
    ...(draft.expression === null ? [element("span", old.expression === null ? "no label" : `masked, was ${old.expression}`, "quiet")] : []));
  const compound = draft.compound_expression ?? "no label", differing = draft.compound_expression !== old.compound_expression;
  at("compoundtext").textContent = compound + (differing ? ` (was ${old.compound_expression ?? "no label"})` : "");
  at("compoundtext").className = differing ? "changed" : "quiet";
  at("votes").textContent = item.votes === null ? "" : "votes: " + (overview.expressions
    .map((name, i) => [name, item.votes[i]]).filter(([, share]) => share > 0)
    .sort((a, b) => b[1] - a[1]).map(([name, share]) => `${name} ${Math.round(share * 100)} %`).join(", ") || "none for an expression");
  const units = Object.keys(overview.action_units).filter((unit) =>
    draft.au[unit] !== null || draft.au_intensity[unit] !== null || old.au[unit] !== null || old.au_intensity[unit] !== null);
  at("units").replaceChildren(...units.map((unit) => {
    const value = draft.au[unit], state = value === 1 ? "on" : value === 0 ? "off" : "none";
    const made_ = chip(`AU${unit}`, state, value !== old.au[unit] || draft.au_intensity[unit] !== old.au_intensity[unit],
      () => toggleUnit(unit), `${overview.action_units[unit]}: ${value === 1 ? "present" : value === 0 ? "absent" : "no label"}`);
    if (draft.au_intensity[unit] !== null) made_.append(element("small", number(draft.au_intensity[unit])));
    return made_;
  }), ...(units.length ? [] : [element("span", "no label", "quiet")]));
  const changed = JSON.stringify(draft.va) !== JSON.stringify(old.va);
  at("dot").hidden = draft.va === null;
  at("dot").style.display = draft.va === null ? "none" : "";
  at("dot").className = changed ? "changed" : "";
  if (draft.va !== null) {
    at("dot").style.left = `${50 + 50 * draft.va[0]}%`;
    at("dot").style.top = `${50 - 50 * draft.va[1]}%`;
  }
  at("vatext").textContent = vaText(draft.va) + (changed ? ` (was ${vaText(old.va)})` : "");
  const differs = Object.keys(changes()).length > 0;
  at("save").disabled = !differs;
  at("keep").disabled = differs;
  at("reset").disabled = !differs;
}

function evidenceText(evidence) {
  return Object.entries(evidence)
    .filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length))
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${Array.isArray(value) ? value.join(", ") : typeof value === "number" ? number(value) : String(value)}`)
    .join(" · ");
}

function drawFindings() {
  at("findings").replaceChildren(...item.findings.map((finding) => {
    const box = element("div", undefined, "finding");
    box.append(element("span", `${finding.severity} ${finding.score.toFixed(2)}`, `severity ${finding.severity}`),
      element("b", finding.title), element("span", evidenceText(finding.evidence), "quiet"));
    if (finding.rule) {
      const rule = element("details", undefined, "quiet");
      rule.append(element("summary", "rule"), element("span", finding.rule));
      box.append(rule);
    }
    return box;
  }), ...(item.findings.length ? [] : [element("p", "none: this row was named by hand", "quiet")]));
}

function figure(row, caption) {
  const box = element("figure"), image = element("img");
  image.alt = "";
  image.src = `picture/${row.split}/${row.row}/160`;
  image.addEventListener("error", () => image.remove());
  const present = Object.entries(row.labels.au).filter(([, value]) => value === 1).map(([unit]) => `AU${unit}`);
  const texts = [row.labels.expression, row.labels.compound_expression, row.labels.va && row.labels.va.map(number).join(", "), present.join(" ")];
  box.append(image, element("b", caption), element("div", texts.filter(Boolean).join(" · ") || "no label"));
  return box;
}

function draw() {
  at("main").hidden = false;
  at("position").textContent = `${(index + 1).toLocaleString("en")} of ${overview.items.toLocaleString("en")}`;
  const name = item.track ? `${item.uid} (track ${item.track}${item.frame < 0 ? "" : `, frame ${item.frame}`})` : item.uid;
  at("place").textContent = `${name} · ${item.database} ${item.release} · ${item.split} · ${item.source}`;
  drawFace();
  drawLabels();
  drawFindings();
  at("frames").replaceChildren(...item.frames.map((row) => figure(row, `frame ${row.frame}`)));
  at("copies").replaceChildren(...item.copies.map((row) => figure(row, `${row.database}, ${row.split}`)));
  at("framesbox").hidden = !item.frames.length;
  at("copiesbox").hidden = !item.copies.length;
  document.querySelector(".around").classList.toggle("empty", !item.frames.length && !item.copies.length);
  const made_ = item.decision;
  at("decision").textContent = made_ === null ? "" :
    `decided: ${made_.action} by ${made_.who}, ${made_.when.slice(0, 16).replace("T", " ")}` +
    (made_.new ? `: ${evidenceText(flat(made_.old))} → ${evidenceText(flat(made_.new))}` : "");
  hint("");
}

function flat(labels) {
  const shown = {};
  for (const name of ["expression", "compound_expression"])
    if (name in labels) shown[name] = labels[name] ?? "no label";
  if ("va" in labels) shown.va = vaText(labels.va);
  for (const name of ["au", "au_intensity"])
    for (const [unit, value] of Object.entries(labels[name] ?? {}))
      shown[`AU${unit}${name === "au" ? "" : " intensity"}`] = value === null ? "no label" : name === "au" ? ["absent", "present"][value] : value;
  return shown;
}

function drawFace() {
  at("noface").hidden = true;
  at("face").style.display = "";
  at("face").src = `picture/${item.split}/${item.row}/${whole ? "960?whole" : "480"}`;
}

function hint(text) { at("hint").textContent = text; waiting = text ? waiting : ""; }

async function guarded(work) {
  if (busy) return;
  busy = true;
  try { await work(); }
  catch (error) {
    say(error.message);
    if (error.status === 409) await load(index, true).catch(() => {});
  }
  finally { busy = false; document.body.dataset.index = index ?? ""; document.body.dataset.ready = String(Number(document.body.dataset.ready ?? 0) + 1); }
}

async function refresh() {
  const fixed = overview;
  overview = await ask("overview");
  at("dataset").textContent = overview.dataset;
  if (!at("compounds").children.length)
    at("compounds").replaceChildren(...overview.compound_expressions.map((name) => Object.assign(element("option"), { value: name })));
  document.title = `Review of ${overview.dataset}`;
  at("progress").value = overview.items ? overview.decided / overview.items : 1;
  at("counts").textContent = `${overview.decided.toLocaleString("en")} decided` +
    (Object.keys(overview.actions).length ? ` (${Object.entries(overview.actions).map(([k, n]) => `${k} ${n}`).join(", ")})` : "");
  return fixed;
}

async function load(next, keepMessage) {
  if (!keepMessage) say("");
  await refresh();
  if (next === null || next === undefined) {
    at("main").hidden = true;
    index = null;
    at("position").textContent = "";
    say(overview.items
      ? `All ${overview.items.toLocaleString("en")} items are decided. Apply them: affect-data review apply ${overview.file} ${overview.dataset}`
      : "The queue is empty: the audit has no findings.", true);
    return;
  }
  item = await ask(`item/${next}`);
  index = next;
  draft = copyOf(item.labels);
  // What was decided and not applied yet stands in the fields again.
  for (const [name, value] of Object.entries(item.decision?.new ?? {}))
    draft[name] = typeof value === "object" && value !== null && !Array.isArray(value) ? { ...draft[name], ...value } : value;
  whole = false;
  at("why").value = "";
  draw();
}

function remember(id) { sessionStorage.setItem(made, JSON.stringify([...JSON.parse(sessionStorage.getItem(made) ?? "[]"), id].slice(-1000))); }

async function decide(action) {
  if (index === null) return;
  const answer = await ask("decide", { index, action, new: action === "change" ? changes() : {}, why: at("why").value, seen: item.decision?.id ?? "" });
  remember(answer.id);
  await load(answer.next);
}

async function undo() {
  const ids = JSON.parse(sessionStorage.getItem(made) ?? "[]");
  if (!ids.length) { say("Nothing to undo: this page has decided nothing yet. Earlier decisions are changed by deciding again."); return; }
  const id = ids.pop();
  sessionStorage.setItem(made, JSON.stringify(ids));
  const answer = await ask("undo", { id });
  await load(answer.index ?? index);
}

function setExpression(i) {
  const name = overview.expressions[i];
  if (name === undefined) return;
  draft.expression = name;
  drawLabels();
}

function setCompound(text) {
  const wanted = text.trim().toLowerCase(), known = overview.compound_expressions;
  const near = known.includes(wanted) ? [wanted] : known.filter((name) => name.includes(wanted));
  if (near.length !== 1) { say(`"${text}" is ${near.length ? `any of ${near.join(", ")}` : `no compound expression; known: ${known.join(", ")}`}`); return false; }
  say("");
  draft.compound_expression = near[0];
  drawLabels();
  return true;
}

function toggleUnit(unit) {
  if (!(unit in overview.action_units)) { say(`AU${unit} is no action unit of the vocabulary`); return; }
  say("");
  const old = item.labels.au[unit], order = old === 1 ? [1, 0, null] : old === 0 ? [0, 1, null] : [null, 1, 0];
  draft.au[unit] = order[(order.indexOf(draft.au[unit]) + 1) % 3];
  draft.au_intensity[unit] = draft.au[unit] === item.labels.au[unit] ? item.labels.au_intensity[unit] : null;
  drawLabels();
}

function setVa(text) {
  const parts = text.trim().split(/[\s,;]+/).map(Number);
  if (parts.length !== 2 || parts.some((part) => !(part >= -1 && part <= 1))) { say("Valence and arousal are two numbers in [-1, 1], for example 0.3 -0.2"); return false; }
  say("");
  draft.va = parts;
  drawLabels();
  return true;
}

function mask(task) {
  if (task === "e" || task === "m") draft.expression = null;
  if (task === "c" || task === "m") draft.compound_expression = null;
  if (task === "v" || task === "m") draft.va = null;
  if (task === "a" || task === "m")
    for (const unit of Object.keys(draft.au)) { draft.au[unit] = null; draft.au_intensity[unit] = null; }
  drawLabels();
}

function wait(what, text) { waiting = what; at("hint").textContent = text; }

const keys = {
  k: () => guarded(() => at("keep").disabled ? say("Labels were changed: Enter saves the change, R resets it.") : decide("keep")),
  s: () => guarded(() => decide("skip")),
  u: () => guarded(undo),
  r: () => { if (item) { draft = copyOf(item.labels); drawLabels(); } },
  e: () => wait("e", "expression: press 1–9"),
  m: () => wait("m", "mask: E expression, C compound expression, A action units, V valence and arousal, M all of them"),
  c: () => { at("compound").focus(); at("compound").select(); },
  a: () => { at("unit").focus(); at("unit").select(); },
  v: () => { at("va").focus(); at("va").select(); },
  n: () => at("why").focus(),
  f: () => { whole = !whole; drawFace(); },
  Enter: () => guarded(() => at("save").disabled ? say("No label was changed: K keeps the labels.") : decide("change")),
  ArrowRight: () => guarded(() => load(Math.min(index === null ? 0 : index + 1, overview.items - 1))),
  ArrowLeft: () => guarded(() => load(Math.max(index === null ? overview.items - 1 : index - 1, 0))),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const field = event.target instanceof HTMLInputElement ? event.target : null;
  if (event.key === "Escape") { if (field) field.blur(); hint(""); return; }
  if (field) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (field.id === "unit") { if (/^\d+$/.test(field.value.trim())) toggleUnit(String(Number(field.value))); field.value = ""; }
    else if (field.id === "compound" && field.value.trim()) { if (setCompound(field.value)) { field.value = ""; field.blur(); } }
    else if (field.id === "va" && field.value.trim() && setVa(field.value)) { field.value = ""; field.blur(); }
    else field.blur();
    return;
  }
  if (event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!overview || !overview.items) return;
  if (waiting) {
    const first = waiting;
    hint("");
    if (index !== null && first === "e" && /^[1-9]$/.test(key)) { event.preventDefault(); setExpression(Number(key) - 1); return; }
    if (index !== null && first === "m" && "ecavm".includes(key)) { event.preventDefault(); mask(key); return; }
  }
  if (!(key in keys) || (index === null && !["u", "ArrowLeft", "ArrowRight"].includes(key))) return;
  event.preventDefault();
  keys[key]();
});

for (const [id, key] of [["keep", "k"], ["save", "Enter"], ["mask", "m"], ["skip", "s"], ["undo", "u"], ["reset", "r"]])
  at(id).addEventListener("click", () => { at(id).blur(); keys[key](); });
for (const button of document.querySelectorAll("[data-mask]"))
  button.addEventListener("click", () => { button.blur(); if (item) mask(button.dataset.mask); });
at("face").addEventListener("error", () => { at("face").style.display = "none"; at("noface").hidden = false; });
at("pad").addEventListener("click", (event) => {
  const box = at("pad").getBoundingClientRect();
  const clip = (value) => Math.max(-1, Math.min(1, Math.round(value * 100) / 100));
  draft.va = [clip(2 * (event.clientX - box.left) / box.width - 1), clip(1 - 2 * (event.clientY - box.top) / box.height)];
  drawLabels();
});

guarded(async () => { await refresh(); await load(overview.next); });
