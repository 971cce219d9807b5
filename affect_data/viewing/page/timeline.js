// The track of a face as a line: valence and arousal, and a strip for each action unit.

import { ask, canvas, colour, el } from "./dom.js";
import { store } from "./store.js";

const CURVES = 64, STRIP = 9, LEFT = 34;

export async function timeLine(row, width, open) {
  const track = await ask(`track/${row}`);
  if (track.rows.length < 3) return null;
  const units = Object.entries(track.au), here = track.rows.indexOf(row), wide = width - LEFT - 6;
  const first = track.frames[0], span = Math.max(1, track.frames.at(-1) - first), x = (i) => LEFT + ((track.frames[i] - first) / span) * wide;
  const hasVa = track.valence.some((value) => value !== null), curves = hasVa ? CURVES : 0, height = curves + units.length * STRIP + 16;
  if (!hasVa && !units.length) return null;
  const drawn = canvas(width, height, (pen) => {
    pen.font = "10px system-ui, sans-serif";
    pen.textBaseline = "middle";
    if (hasVa) {
      pen.strokeStyle = colour("--line");
      pen.strokeRect(LEFT, 0.5, wide, curves - 4);
      pen.beginPath(); pen.moveTo(LEFT, (curves - 4) / 2); pen.lineTo(LEFT + wide, (curves - 4) / 2); pen.stroke();
      for (const [name, tone] of [["valence", "--accent"], ["arousal", "--changed"]]) {
        pen.strokeStyle = pen.fillStyle = colour(tone);
        pen.fillText(name === "valence" ? "val" : "aro", 4, name === "valence" ? 12 : 30);
        pen.lineWidth = 1.4;
        pen.beginPath();
        let gap = true;
        track[name].forEach((value, i) => {
          if (value === null) { gap = true; return; }
          const y = (curves - 4) * (0.5 - value / 2);
          if (gap) pen.moveTo(x(i), y); else pen.lineTo(x(i), y);
          gap = false;
        });
        pen.stroke();
      }
    }
    const step = Math.max(1.5, wide / track.rows.length);
    units.forEach(([unit, values], line) => {
      const y = curves + line * STRIP;
      pen.fillStyle = colour("--quiet");
      pen.fillText(`AU${unit}`, 2, y + STRIP / 2);
      values.forEach((value, i) => {
        if (value < 0) return;
        pen.fillStyle = colour(value ? "--accent" : "--line");
        pen.globalAlpha = value ? 1 : 0.5;
        pen.fillRect(x(i) - step / 2, y + 1, step, STRIP - 2);
      });
      pen.globalAlpha = 1;
    });
    pen.fillStyle = colour("--quiet");
    pen.fillText(`frame ${first}`, LEFT, height - 7);
    const end = `${track.frames.at(-1)}`;
    pen.fillText(end, LEFT + wide - pen.measureText(end).width, height - 7);
    if (here >= 0) { pen.strokeStyle = colour("--ink"); pen.beginPath(); pen.moveTo(x(here), 0); pen.lineTo(x(here), height - 14); pen.stroke(); }
  });
  drawn.addEventListener("click", (event) => {
    const asked = first + ((event.offsetX - LEFT) / wide) * span;
    const nearest = track.frames.reduce((best, frame, i) => (Math.abs(frame - asked) < Math.abs(track.frames[best] - asked) ? i : best), 0);
    open(track.rows[nearest]);
  });
  const names = units.map(([unit]) => `AU${unit} ${store.about.action_units[unit]}`).join("\n");
  drawn.title = names;
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", "labels along the track; click to go to a frame");
  return el("div", { class: "timeline" }, drawn);
}
