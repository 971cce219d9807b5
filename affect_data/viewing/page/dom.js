// Small tools for the page. Text from the dataset is only ever set as text.

export const at = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("data-") || name.startsWith("aria-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const count = (value) => value.toLocaleString("en");
export const number = (value) => (Number.isInteger(value) ? String(value) : String(Math.round(value * 1000) / 1000));
export const copyOf = (value) => JSON.parse(JSON.stringify(value));
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export function say(text, good) {
  const box = at("message");
  box.replaceChildren(text, text ? el("button", { type: "button", class: "close", "aria-label": "close", onclick: () => say("") }, "×") : "");
  box.hidden = !text;
  box.className = good ? "good" : "";
}

export async function ask(path, body) {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let answer;
  try { answer = await fetch(path, request); }
  catch { throw new Error("affect-data is not running any more; start it again: what was saved is safe"); }
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
  return found;
}

export async function blob(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`no picture (${answer.status})`);
  return URL.createObjectURL(await answer.blob());
}

// Sharp canvases: drawn in CSS pixels, stored in those of the screen.
export function canvas(width, height, draw) {
  const made = el("canvas"), scale = window.devicePixelRatio || 1;
  made.width = width * scale; made.height = height * scale;
  made.style.width = `${width}px`; made.style.height = `${height}px`;
  const pen = made.getContext("2d");
  pen.scale(scale, scale);
  draw(pen, width, height);
  return made;
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
