// The plane of valence and arousal: how many faces lie where, and a rectangle that a person draws in it.

import { at, canvas, colour, count, el, number } from "./dom.js";
import { set, store, values } from "./store.js";

const SIDE = 208;
let box = null, drawing = null;

export function planeFilter() {
  box = el("div", { id: "plane", role: "img", "aria-label": "valence to the right, arousal upward; drag to choose a rectangle" });
  box.addEventListener("pointerdown", (event) => {
    box.setPointerCapture(event.pointerId);
    drawing = { from: point(event), to: point(event) };
  });
  box.addEventListener("pointermove", (event) => { if (drawing) { drawing.to = point(event); outline([...drawing.from, ...drawing.to]); } });
  box.addEventListener("pointerup", () => {
    if (!drawing) return;
    const [v0, a0] = drawing.from, [v1, a1] = drawing.to;
    drawing = null;
    // A click without a drag takes the rectangle away.
    set("va", Math.abs(v1 - v0) < 0.03 || Math.abs(a1 - a0) < 0.03 ? "" : [v0, a0, v1, a1].map(number).join(","));
  });
  return box;
}

function point(event) {
  const frame = box.getBoundingClientRect(), clip = (value) => Math.max(-1, Math.min(1, Math.round(value * 100) / 100));
  return [clip((2 * (event.clientX - frame.left)) / frame.width - 1), clip(1 - (2 * (event.clientY - frame.top)) / frame.height)];
}

function outline(corners) {
  let shown = at("rectangle");
  if (!corners) { shown?.remove(); return; }
  if (!shown) { shown = el("i", { id: "rectangle" }); box.append(shown); }
  const [v0, a0, v1, a1] = corners, percent = (value) => `${50 + 50 * value}%`;
  shown.style.left = percent(Math.min(v0, v1));
  shown.style.width = `${50 * Math.abs(v1 - v0)}%`;
  shown.style.top = percent(-Math.max(a0, a1));
  shown.style.height = `${50 * Math.abs(a1 - a0)}%`;
}

export function drawPlane(cells) {
  const side = store.about.cells, most = Math.log1p(cells.reduce((one, other) => Math.max(one, other), 0));
  const picture = canvas(SIDE, SIDE, (pen, width) => {
    const step = width / side;
    pen.fillStyle = colour("--accent");
    cells.forEach((faces, cell) => {
      if (!faces) return;
      pen.globalAlpha = 0.15 + (0.85 * Math.log1p(faces)) / most;
      pen.fillRect((cell % side) * step, width - (Math.floor(cell / side) + 1) * step, step, step);
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("--line");
    pen.beginPath();
    pen.moveTo(width / 2, 0); pen.lineTo(width / 2, width); pen.moveTo(0, width / 2); pen.lineTo(width, width / 2);
    pen.stroke();
  });
  picture.style.width = picture.style.height = "100%";
  box.replaceChildren(picture, el("span", { class: "axis right" }, "valence"), el("span", { class: "axis up" }, "arousal"));
  const asked = values("va")[0];
  outline(asked ? asked.split(",").map(Number) : null);
  box.title = `${count(cells.reduce((one, other) => one + other, 0))} faces with valence and arousal`;
}
