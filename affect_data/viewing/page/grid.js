// A grid of any number of faces: only those in the window exist, and cells are used again.
//
// A browser does not make an element higher than some ten million pixels. Where the grid would be, the scroll bar is a map: small moves are as they
// look, a drag of the bar leads to the place that it points at.

import { at, el } from "./dom.js";
import { fill } from "./cell.js";
import { rowNow, part, store } from "./store.js";
import { only } from "./thumbs.js";

const HIGHEST = 6_000_000, LINES = 64, GAP = 10, AROUND = 2;

export class Grid {
  constructor(actions) {
    this.box = at("grid");
    this.canvas = at("canvas");
    this.actions = actions;
    this.cells = new Map();
    this.free = [];
    this.total = 0;
    this.focus = 0;
    this.offset = 0;
    this.top = 0;
    this.frame = 0;
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.box);
  }

  measure() {
    const width = this.box.clientWidth, least = width < 520 ? 104 : 140;
    if (!width) return;
    const first = this.columns ? Math.floor(this.virtualTop / this.height) * this.columns : 0;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.width = (width + GAP) / this.columns;
    this.size = Math.floor(this.width - GAP);
    this.height = this.size + LINES + GAP;
    this.layout();
    this.scrollTo(first, true);
  }

  layout() {
    this.lines = Math.ceil(this.total / (this.columns || 1));
    this.virtual = this.lines * this.height;
    this.real = Math.min(this.virtual, HIGHEST);
    this.canvas.style.height = `${this.real}px`;
    for (const [index, cell] of this.cells) this.release(index, cell);
    this.draw();
  }

  show(total) {
    this.total = total;
    this.focus = 0;
    this.offset = 0;
    this.box.scrollTop = this.top = 0;
    this.layout();
  }

  get virtualTop() { return this.box.scrollTop + this.offset; }

  // Where the scroll bar would stand if it showed the whole list.
  anchor(wanted) {
    const most = Math.max(0, this.virtual - this.box.clientHeight), high = Math.max(1, this.virtual - this.box.clientHeight);
    const place = Math.max(0, Math.min(most, wanted));
    const real = this.virtual === this.real ? place : (place / high) * (this.real - this.box.clientHeight);
    this.offset = place - real;
    this.box.scrollTop = this.top = real;
    // A browser rounds the place.
    this.offset = place - this.box.scrollTop;
    this.top = this.box.scrollTop;
  }

  scrolled() {
    const top = this.box.scrollTop, view = this.box.clientHeight;
    if (this.virtual > this.real && Math.abs(top - this.top) > 3 * view)
      this.offset = (top / (this.real - view)) * (this.virtual - view) - top;
    else if (this.virtual > this.real && ((top <= 0 && this.offset > 0) || (top >= this.real - view && this.virtualTop < this.virtual - view)))
      this.anchor(this.virtualTop);
    this.top = this.box.scrollTop;
    clearTimeout(this.idle);
    if (this.virtual > this.real) this.idle = setTimeout(() => this.anchor(this.virtualTop), 300);
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  range() {
    const first = Math.max(0, Math.floor(this.virtualTop / this.height) - AROUND);
    const last = Math.ceil((this.virtualTop + this.box.clientHeight) / this.height) + AROUND;
    return [first * this.columns, Math.min(this.total, last * this.columns)];
  }

  release(index, cell) {
    this.cells.delete(index);
    cell.remove();
    this.free.push(cell);
  }

  draw() {
    if (!this.columns) return;
    const [first, end] = this.range(), wanted = new Set();
    for (const [index, cell] of this.cells) if (index < first || index >= end) this.release(index, cell);
    for (let index = first; index < end; index += 1) {
      let cell = this.cells.get(index);
      if (!cell) {
        cell = this.free.pop() ?? this.makeCell();
        cell.dataset.index = index;
        cell.dataset.row = "";
        cell.replaceChildren();
        this.cells.set(index, cell);
        this.canvas.append(cell);
      }
      const line = Math.floor(index / this.columns), column = index % this.columns;
      cell.style.transform = `translate(${column * this.width}px, ${line * this.height - this.offset}px)`;
      cell.style.width = `${this.size}px`;
      cell.style.height = `${this.height - GAP}px`;
      const face = rowNow(index);
      if (face) {
        wanted.add(face.row);
        if (cell.dataset.row !== String(face.row)) { fill(cell, face, this.size, index ? rowNow(index - 1) : null); cell.dataset.row = face.row; }
      } else this.expect(index);
      cell.classList.toggle("focused", index === this.focus);
      const selected = face !== null && this.actions.isSelected(face.row);
      cell.classList.toggle("selected", selected);
      cell.setAttribute("aria-selected", selected);
    }
    only(wanted);
    document.body.dataset.drawn = `${first}-${end}`;
  }

  expect(index) {
    const found = part(index);
    if (found.awaited) return;
    found.awaited = true;
    found.promise.then(() => this.draw()).catch((error) => this.actions.failed(error));
  }

  // Faces whose labels or decisions are read again.
  renew() {
    for (const cell of this.cells.values()) cell.dataset.row = "";
    this.draw();
  }

  makeCell() {
    return el("div", { class: "cell", role: "option",
      onclick: (event) => this.actions.clicked(Number(event.currentTarget.dataset.index), event) });
  }

  scrollTo(index, exactly) {
    if (!this.columns || !this.total) return;
    const top = Math.floor(index / this.columns) * this.height, view = this.box.clientHeight;
    if (exactly) this.anchor(top);
    else if (top < this.virtualTop) this.anchor(top);
    else if (top + this.height > this.virtualTop + view) this.anchor(top + this.height - view);
    this.draw();
  }

  move(to) {
    this.focus = Math.max(0, Math.min(this.total - 1, to));
    this.scrollTo(this.focus);
  }

  page() { return Math.max(1, Math.floor(this.box.clientHeight / this.height)) * this.columns; }
}
