// @ts-check
"use strict";
// One row: scores → shift → exp → p → −log p → gradient, its steps, and its loss as floor + excess.

const FORMULAS = [
  ["score", "z"], ["shift", "z − max z"], ["exp", "eˢʰⁱᶠᵗ"], ["p", "exp / Σ exp"], ["−log p", "log Σ exp − shift"], ["y", "target"], ["gradient", "p − y"],
];

class Row {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.timer = null;
    for (const [id, act] of Object.entries({
      step: () => this.go(1), ten: () => this.go(10), back: () => this.move(this.state.at - 1), reset: () => this.move(0), run: () => this.run(),
      fewer: () => this.classes(-1), more: () => this.classes(1), useCounts: () => this.mode(null), showFloor: () => this.restart([-1, 0.2, 0.5], null, [6, 3, 1]), useTarget: () => this.mode(0),
      three: () => this.restart([-1, 2.3, 0.1], 0), two: () => this.restart([-1, 0.2], 0),
    })) Dom.find(id).addEventListener("click", act);
    Dom.find("rate").addEventListener("change", () => this.setRate(Dom.find("rate").value));
    Dom.find("time").addEventListener("input", () => this.move(Number(Dom.find("time").value)));
    this.build();
  }

  get scores() {
    return this.path[this.state.at];
  }

  restart(start, target, counts = this.state.counts) {
    const fitted = start.map((_, place) => (counts[place] === undefined ? 1 : counts[place]));
    Object.assign(this.state, { start, target, counts: fitted, steps: 0, at: 0 });
    this.build();
  }

  classes(change) {
    const scores = change > 0 ? [...this.scores, 0] : this.scores.slice(0, -1);
    if (scores.length < 1 || scores.length > 12) return;
    const counts = this.state.counts.slice(0, scores.length);
    const target = this.state.target === null ? null : Math.min(this.state.target, scores.length - 1);
    this.restart(scores, target, counts.some((count) => count > 0) ? counts : scores.map(() => 1));
  }

  mode(target) {
    this.restart(this.scores, target);
  }

  setRate(text) {
    const rate = Number(text);
    if (text.trim() !== "" && Number.isFinite(rate)) Object.assign(this.state, { start: this.scores, steps: 0, at: 0, rate });
    this.update();
  }

  go(steps) {
    Object.assign(this.state, { steps: Math.min(5000, this.state.at + steps), at: Math.min(5000, this.state.at + steps) });
    this.update();
  }

  move(at) {
    this.state.at = Math.max(0, Math.min(this.state.steps, at));
    this.update();
  }

  run() {
    if (this.timer) clearInterval(this.timer);
    this.timer = this.timer ? null : setInterval(() => (this.state.at < 5000 ? this.go(1) : this.run()), 120);
    Dom.find("run").textContent = this.timer ? "Pause" : "Run";
  }

  setScore(place, text) {
    const value = Number(text);
    if (text.trim() === "" || !(Math.abs(value) <= 1e6)) return this.update();
    const start = this.scores.map((score, other) => (other === place ? value : score));
    Object.assign(this.state, { start, steps: 0, at: 0 });
    this.update();
  }

  setCount(place, text) {
    const counts = this.state.counts.map((count, other) => (other === place ? Number(text) : count));
    const legal = text.trim() !== "" && counts.every((count) => count >= 0 && count <= 1e9) && counts.some((count) => count > 0);
    if (legal) Object.assign(this.state, { start: this.scores, counts, steps: 0, at: 0 });
    this.update();
  }

  setTarget(target) {
    Object.assign(this.state, { start: this.scores, target, steps: 0, at: 0 });
    this.update();
  }

  // The inputs are made once for a number of classes, so that typing and sliding keep the focus.
  build() {
    const heads = FORMULAS.map(([name, formula]) => Dom.make("th", { scope: "col" }, name, Dom.make("small", { text: formula })));
    this.lines = this.state.start.map((_, place) => this.line(place));
    Dom.find("rowTable").replaceChildren(
      Dom.make("thead", {}, Dom.make("tr", {}, Dom.make("th", { scope: "col", text: "class" }), heads)),
      Dom.make("tbody", {}, this.lines.map((line) => line.element)),
      Dom.make("tfoot", {}, (this.sums = Dom.make("tr")))
    );
    this.update();
  }

  line(place) {
    const name = `class ${place}`;
    const slider = { type: "range", min: -6, max: 6, step: 0.1, "aria-label": `score of ${name}, slider`, oninput: (event) => this.setScore(place, event.target.value) };
    const typed = { type: "number", step: "any", "aria-label": `score of ${name}`, onchange: (event) => this.setScore(place, event.target.value) };
    const line = {
      slider: Dom.make("input", slider), typed: Dom.make("input", typed),
      radio: Dom.make("input", { type: "radio", name: "target", "aria-label": `${name} is the target`, onchange: () => this.setTarget(place) }),
      count: Dom.make("input", { type: "number", min: 0, step: "any", "aria-label": `count of ${name}`, onchange: (event) => this.setCount(place, event.target.value) }),
      cells: FORMULAS.slice(1).map(() => Dom.make("td")),
    };
    line.element = Dom.make("tr", {}, Dom.make("th", { scope: "row", text: place }), Dom.make("td", { class: "score" }, line.slider, line.typed), line.cells);
    return line;
  }

  update() {
    this.path = State.path(this.state);
    const scores = this.scores, { target } = this.state;
    const found = Loss.row(scores, State.share(this.state));
    const copy = (value, expression) => Dom.copyable(value, Line.withShare(this.state, scores, expression));
    this.lines.forEach((line, place) => {
      line.slider.value = scores[place];
      if (document.activeElement !== line.typed) line.typed.value = Number(scores[place].toFixed(4));
      line.radio.checked = target === place;
      line.count.value = this.state.counts[place];
      const values = [
        copy(found.shift[place], `(z - z.max())[${place}]`), copy(found.exp[place], `(z - z.max()).exp()[${place}]`),
        copy(found.p[place], `z.softmax(0)[${place}]`), copy(found.nll[place], `-z.log_softmax(0)[${place}]`),
        target === null ? [line.count, copy(found.share[place], `y[${place}]`)] : line.radio,
        copy(found.gradient[place], `(z.softmax(0) - y)[${place}]`),
      ];
      values.forEach((value, column) => line.cells[column].replaceChildren(...[value].flat()));
      this.formulas(found, scores[place], place).forEach((formula, column) => (line.cells[column].lastChild.title = formula));
      line.element.classList.toggle("target", target === place);
    });
    const sum = (text, value) => Dom.make("td", {}, text ? Dom.make("small", { text }) : null, value);
    const loss = copy(found.loss, "-(y * z.log_softmax(0)).sum()");
    loss.id = "rowLoss";
    this.sums.replaceChildren(
      Dom.make("th", { text: "Σ" }), Dom.make("td"), Dom.make("td"), sum("", copy(found.total, "(z - z.max()).exp().sum()")),
      sum("", copy(found.p.reduce((a, b) => a + b, 0), "z.softmax(0).sum()")), sum("loss ", loss), Dom.make("td"),
      sum("", copy(found.gradient.reduce((a, b) => a + b, 0) + 0, "(z.softmax(0) - y).sum().round(decimals=9).abs()"))
    );
    Dom.find("useCounts").setAttribute("aria-pressed", String(target === null));
    Dom.find("useTarget").setAttribute("aria-pressed", String(target !== null));
    Plot.bars(Dom.find("bars"), found);
    Plot.curve(Dom.find("curve"), found);
    this.updateSteps(found);
    this.updateFloor(found, copy);
    this.changed();
  }

  // What each cell of a line says when it is pointed at: its formula, with its numbers.
  formulas(found, score, place) {
    const n = (value) => Dom.number(value);
    return [
      `shift = z − max z = ${n(score)} − ${n(found.largest)}`, `exp of the shift = exp(${n(found.shift[place])})`,
      `p = exp / Σ exp = ${n(found.exp[place])} / ${n(found.total)}`, `−log p = log Σ exp − shift = ${n(Math.log(found.total))} − ${n(found.shift[place])}`,
      this.state.target === null ? "y = count / Σ counts" : "y = 1 at the target, 0 elsewhere", `gradient = p − y = ${n(found.p[place])} − ${n(found.share[place])}`,
    ];
  }

  updateSteps(found) {
    const { state, path } = this;
    const share = State.share(state);
    const losses = path.map((scores) => Loss.row(scores, share).loss);
    const levels = found.floor > 0 ? [{ name: "floor", y: found.floor }] : [];
    Dom.find("time").max = state.steps;
    Dom.find("time").value = state.at;
    Dom.find("at").textContent = `step ${state.at} of ${state.steps}`;
    if (document.activeElement !== Dom.find("rate")) Dom.find("rate").value = state.rate;
    Dom.find("back").disabled = Dom.find("reset").disabled = state.at === 0;
    const names = { xName: "step", whole: true, mark: state.at };
    const series = [{ name: "−log p of the target", kind: 0, points: losses.map((loss, step) => [step, loss]) }];
    if (state.target === null) series[0].name = "mean of −log p over the counts";
    Plot.lines(Dom.find("losses"), { series, levels, yName: "loss  [nats]", title: "the loss over the steps", zero: true, ...names });
    const weights = state.start.map((_, place) => ({
      name: `class ${place}${state.target === place ? " (target)" : ""}`, kind: place, points: path.map((scores, step) => [step, scores[place]]),
    }));
    Plot.lines(Dom.find("weights"), { series: weights, yName: "score", title: "the scores over the steps", ...names });
    const rows = path.slice(0, 501).map((scores, step) => [
      step, Dom.copyable(losses[step], Line.descent(state, step, "-(y * z.log_softmax(0)).sum()"), 6),
      ...scores.map((score, place) => Dom.copyable(score, Line.descent(state, step, `z[${place}]`), 6)),
    ]);
    Dom.find("stepTable").replaceChildren(Dom.table(["step", "loss", ...state.start.map((_, place) => `z${place}`)], rows));
  }

  updateFloor(found, copy) {
    const terms = [["loss", found.loss, "-(y * z.log_softmax(0)).sum()"], ["floor", found.floor, "-torch.xlogy(y, y).sum()"],
      ["excess", found.excess, "torch.nn.functional.kl_div(z.log_softmax(0), y, reduction='sum')"]];
    const parts = terms.map(([name, value, line]) => Dom.make("span", { class: name }, `${name} `, copy(value, line)));
    Dom.find("split").replaceChildren(parts[0], " = ", parts[1], " + ", parts[2]);
    const share = found.loss > 0 ? (100 * found.floor) / found.loss : 0;
    Dom.find("floorBar").style.width = `${Math.min(100, share)}%`;
    const rows = found.p.map((p, place) => [
      place, copy(found.share[place], `y[${place}]`), copy(p, `z.softmax(0)[${place}]`), copy(found.floorTerms[place], `-torch.xlogy(y, y)[${place}]`),
      copy(found.excessTerms[place], `(torch.xlogy(y, y) - y * z.log_softmax(0) - y + z.softmax(0))[${place}]`),
    ]);
    Dom.find("floorTable").replaceChildren(Dom.table(["class", "q = n / N", "p", "−q log q", "q log(q/p) − q + p"], rows));
  }
}
