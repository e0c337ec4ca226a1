// @ts-check
"use strict";
// A zoomable map of words on a canvas: tens of thousands of points without WebGL.

const CIVIDIS = [[0, 48, 111], [87, 93, 109], [165, 156, 116], [254, 232, 56]];

class WordMap {
  static COLOURS = ["k0", "k1", "k2", "k3", "k5"];
  static CORNERS = [[[0, -1], [1, 1], [-1, 1]], [[0, 1], [1, -1], [-1, -1]], [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]]];

  // `points`: x, y of each word in turn; `values`: a number a word for its colour; `picked(place)` is called on a click.
  // `groups`, where there are some: their names, and the number of each word's group or -1.
  constructor(box, { words, many, points, values, name, groups, picked }) {
    this.words = words;
    this.points = points;
    this.values = values;
    this.name = name;
    this.groups = groups ? { names: groups.names, of: Dom.array(groups.of) } : null;
    this.picked = picked;
    this.chosen = -1;
    this.canvas = Dom.make("canvas", { tabindex: 0, role: "img", "aria-label": `map of the ${many}; arrow keys move, plus and minus zoom, 0 shows all` });
    this.tip = Dom.make("div", { class: "mapTip", hidden: true });
    const button = (text, label, act) => Dom.make("button", { type: "button", "aria-label": label, text, onclick: act });
    const tools = Dom.make("div", { class: "mapTools" }, button("+", "zoom in", () => this.zoom(1.5)), button("−", "zoom out", () => this.zoom(1 / 1.5)), button("all", "show all", () => this.reset()));
    this.key = Dom.make("div", {});
    box.replaceChildren(this.choice(), Dom.make("div", { class: "mapFrame" }, this.canvas, this.tip, tools), this.key);
    this.listen();
    this.recolour();
    this.reset();
  }

  // What the colours mean, where there is a choice.
  choice() {
    if (!this.groups) return "";
    const options = ["features", this.name].map((text) => Dom.make("option", { value: text, text }));
    this.by = Dom.make("select", {}, ...options);
    this.by.addEventListener("change", () => {
      this.recolour();
      this.draw();
    });
    return Dom.make("p", {}, Dom.make("label", {}, "coloured by ", this.by));
  }

  get grouped() {
    return this.groups !== null && this.by.value === "features";
  }

  recolour() {
    this.colours = this.grouped ? null : this.colourOf();
    this.key.replaceChildren(this.grouped ? this.legend() : this.scale());
  }

  legend() {
    const entries = this.groups.names.map((name, group) => Dom.make("span", {}, this.sign(group), name));
    return Dom.make("div", { class: "legend" }, ...entries, Dom.make("span", {}, this.sign(-1), "none of them"));
  }

  sign(group) {
    const canvas = Dom.make("canvas", { class: "sign", width: 14, height: 14 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = this.groupColour(group);
    this.mark(pen, group, 7, 7, 9);
    return canvas;
  }

  groupColour(group) {
    return Dom.colour(group < 0 ? "soft" : WordMap.COLOURS[group]);
  }

  // Groups differ in their shape too: a square, a disc, two triangles, a diamond.
  mark(pen, group, x, y, dot) {
    const half = dot / 2;
    if (group <= 0) return pen.fillRect(x - half, y - half, dot, dot);
    pen.beginPath();
    if (group === 1) pen.arc(x, y, half, 0, 7);
    else WordMap.CORNERS[group - 2].forEach(([right, down], corner) => pen[corner ? "lineTo" : "moveTo"](x + right * half, y + down * half));
    pen.fill();
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  range() {
    const sorted = Array.from(this.values).filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
    return [sorted[Math.floor(0.02 * sorted.length)] || 0, sorted[Math.floor(0.98 * (sorted.length - 1))] || 1];
  }

  scale() {
    const [low, high] = this.range();
    return Dom.make("p", { class: "scale" }, Dom.make("span", { text: `${this.name}: ${Dom.number(low, 2)}` }), Dom.make("i"), Dom.make("span", { text: Dom.number(high, 2) }));
  }

  colourOf() {
    const [low, high] = this.range();
    return Array.from(this.values, (value) => {
      const place = 2.999 * Math.min(1, Math.max(0, (value - low) / (high - low || 1) || 0)), left = Math.floor(place);
      return `rgb(${CIVIDIS[left].map((one, which) => Math.round(one + (place - left) * (CIVIDIS[left + 1][which] - one))).join(",")})`;
    });
  }

  reset() {
    const { points } = this;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let place = 0; place < points.length; place += 2) {
      left = Math.min(left, points[place]), right = Math.max(right, points[place]);
      low = Math.min(low, points[place + 1]), high = Math.max(high, points[place + 1]);
    }
    const [width, height] = this.size;
    this.view = { x: (left + right) / 2, y: (low + high) / 2, unit: 0.92 * Math.min(width / (right - left || 1), height / (high - low || 1)) };
    this.draw();
  }

  toPixel(place) {
    const [width, height] = this.size, { x, y, unit } = this.view;
    return [width / 2 + (this.points[2 * place] - x) * unit, height / 2 - (this.points[2 * place + 1] - y) * unit];
  }

  zoom(factor, pixel = this.size.map((length) => length / 2)) {
    const [width, height] = this.size, view = this.view;
    const move = (1 - 1 / factor) / view.unit;
    view.x += (pixel[0] - width / 2) * move;
    view.y -= (pixel[1] - height / 2) * move;
    view.unit *= factor;
    this.draw();
  }

  pan(right, down) {
    this.view.x -= right / this.view.unit;
    this.view.y += down / this.view.unit;
    this.draw();
  }

  choose(place, centre = true) {
    this.chosen = place;
    if (centre && place >= 0) Object.assign(this.view, { x: this.points[2 * place], y: this.points[2 * place + 1] });
    this.draw();
  }

  // Once a frame, however often it is asked for.
  draw() {
    this.frame = this.frame || requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const [width, height] = this.size, ratio = window.devicePixelRatio || 1;
    if (!width) return;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = Dom.colour("grid");
    pen.fillRect(0, 0, width, height);
    const seen = [];
    const dot = Math.min(6, Math.max(1.8, 170 / Math.sqrt(this.words.length))) * (this.grouped ? 1.3 : 1);
    const ofGroups = this.grouped ? [...this.groups.names.keys(), -1].map((group) => [group, this.groupColour(group)]) : [];
    const shades = new Map(/** @type {[number, string][]} */ (ofGroups));
    for (let place = this.words.length - 1; place >= 0; place--) {
      const [x, y] = this.toPixel(place);
      if (x < -5 || y < -5 || x > width + 5 || y > height + 5) continue;
      seen.push(place);
      const group = this.grouped ? this.groups.of[place] : 0;
      pen.fillStyle = this.grouped ? shades.get(group) : this.colours[place];
      this.mark(pen, group, x, y, dot);
    }
    this.label(pen, seen.reverse());
    if (this.chosen >= 0) this.ring(pen);
  }

  // The most frequent words that find room are written out.
  label(pen, seen) {
    const taken = new Set(), ink = Dom.colour("ink"), paper = Dom.colour("card");
    pen.font = "12.5px system-ui, sans-serif";
    Object.assign(pen, { lineWidth: 3.5, lineJoin: "round", strokeStyle: paper, fillStyle: ink });
    let written = 0;
    for (const place of seen.slice(0, 3000)) {
      const [x, y] = this.toPixel(place);
      const reach = Math.ceil(Math.min(220, 8 * this.words[place].length + 8) / 24);
      const rows = [Math.floor((y - 8) / 8), Math.floor(y / 8), Math.floor((y + 8) / 8)];
      const cells = rows.flatMap((row) => Array.from({ length: reach + 1 }, (_, step) => `${Math.floor(x / 24) + step},${row}`));
      if (written >= 140 || cells.some((cell) => taken.has(cell))) continue;
      cells.forEach((cell) => taken.add(cell));
      pen.strokeText(this.words[place].slice(0, 40), x + 4, y + 4);
      pen.fillText(this.words[place].slice(0, 40), x + 4, y + 4);
      written++;
    }
  }

  ring(pen) {
    const [x, y] = this.toPixel(this.chosen);
    Object.assign(pen, { strokeStyle: Dom.colour("p"), lineWidth: 3 });
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.stroke();
    pen.font = "bold 15px system-ui, sans-serif";
    Object.assign(pen, { strokeStyle: Dom.colour("card"), lineWidth: 5, fillStyle: Dom.colour("p") });
    pen.strokeText(this.words[this.chosen].slice(0, 40), x + 13, y + 5);
    pen.fillText(this.words[this.chosen].slice(0, 40), x + 13, y + 5);
  }

  nearest(pixel) {
    let best = -1, least = 14 * 14;
    for (let place = 0; place < this.words.length; place++) {
      const [x, y] = this.toPixel(place), far = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2;
      if (far < least) [best, least] = [place, far];
    }
    return best;
  }

  listen() {
    const { canvas } = this;
    const pixel = (event) => [event.offsetX, event.offsetY];
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      drag = { at: pixel(event), moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = pixel(event);
      if (!drag) return this.hover(at);
      const [right, down] = [at[0] - drag.at[0], at[1] - drag.at[1]];
      drag.moved = drag.moved || Math.hypot(right, down) > 4;
      if (!drag.moved) return;
      drag.at = at;
      this.pan(right, down);
    });
    canvas.addEventListener("pointerup", (event) => {
      const place = drag && !drag.moved ? this.nearest(pixel(event)) : -1;
      drag = null;
      if (place >= 0) this.picked(place);
    });
    canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    // Only a map that was clicked takes the wheel, so that scrolling past it scrolls the page.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), pixel(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => this.pan(60, 0), ArrowRight: () => this.pan(-60, 0), ArrowUp: () => this.pan(0, 60), ArrowDown: () => this.pan(0, -60),
        "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5), 0: () => this.reset(),
      };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  hover(at) {
    const place = this.nearest(at);
    this.tip.hidden = place < 0;
    if (place < 0) return;
    const group = this.grouped ? `  ${this.groups.names[this.groups.of[place]] || "none of them"}` : "";
    this.tip.textContent = `${this.words[place]}${group}  ${this.name} ${Dom.number(this.values[place], 3)}`;
    this.tip.style.left = `${Math.min(at[0] + 14, this.size[0] - 200)}px`;
    this.tip.style.top = `${at[1] + 12}px`;
  }
}
