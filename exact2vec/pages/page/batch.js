// @ts-check
"use strict";
// A batch: rows of scores, a target each, and the mean of their losses.

class Batch {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    Dom.find("addRow").addEventListener("click", () => this.addRow());
    Dom.find("dropRow").addEventListener("click", () => this.dropRow());
    Dom.find("lectureBatch").addEventListener("click", () => this.lecture());
    this.build();
  }

  lecture() {
    const { batch, targets } = State.lecture();
    Object.assign(this.state, { batch, targets });
    this.build();
  }

  addRow() {
    if (this.state.batch.length >= 12) return;
    this.state.batch.push([...this.state.batch[this.state.batch.length - 1]]);
    this.state.targets.push(0);
    this.build();
  }

  dropRow() {
    if (this.state.batch.length < 2) return;
    this.state.batch.pop();
    this.state.targets.pop();
    this.build();
  }

  set(row, column, text) {
    const value = Number(text);
    if (text.trim() !== "" && Math.abs(value) <= 1e6) this.state.batch[row][column] = value;
    this.update();
  }

  build() {
    const { batch, targets } = this.state;
    this.losses = batch.map(() => Dom.make("td"));
    this.meters = batch.map(() => Dom.make("div", { class: "meter" }));
    const rows = batch.map((scores, row) =>
      Dom.make("tr", {},
        Dom.make("th", { scope: "row", text: row }),
        scores.map((score, column) => Dom.make("td", {}, Dom.make("input", {
          type: "number", step: "any", value: score, "aria-label": `score of row ${row}, class ${column}`, onchange: (event) => this.set(row, column, event.target.value),
        }))),
        Dom.make("td", {}, this.chooser(row, scores.length, targets[row])), this.losses[row], Dom.make("td", { class: "wide" }, this.meters[row])));
    const heads = ["row", ...batch[0].map((_, column) => `z${column}`), "target", "−log p", ""].map((text) => Dom.make("th", { scope: "col", text }));
    this.mean = Dom.make("td");
    const foot = Dom.make("tr", {}, Dom.make("th", { colspan: batch[0].length + 2, text: "mean of the rows" }), this.mean, Dom.make("td"));
    Dom.find("batchTable").replaceChildren(Dom.make("thead", {}, Dom.make("tr", {}, heads)), Dom.make("tbody", {}, rows), Dom.make("tfoot", {}, foot));
    this.update();
  }

  chooser(row, classes, target) {
    const choices = Array.from({ length: classes }, (_, place) => Dom.make("option", { value: place, selected: place === target, text: place }));
    const chosen = (event) => {
      this.state.targets[row] = Number(event.target.value);
      this.update();
    };
    return Dom.make("select", { "aria-label": `target of row ${row}`, onchange: chosen }, choices);
  }

  update() {
    const { batch, targets } = this.state;
    const losses = batch.map((scores, row) => -Loss.logSoftmax(scores)[targets[row]] + 0);
    const largest = Math.max(...losses, 1e-9);
    losses.forEach((loss, row) => {
      this.losses[row].replaceChildren(Dom.copyable(loss, Line.of(batch[row], `-z.log_softmax(0)[${targets[row]}]`)));
      this.meters[row].style.width = `${(100 * loss) / largest}%`;
    });
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    const scores = `torch.tensor([${batch.map(Line.list).join(", ")}], dtype=torch.float64)`;
    const button = Dom.copyable(mean, `import torch; print(torch.nn.functional.cross_entropy(${scores}, torch.tensor(${Line.list(targets)})).item())`);
    button.id = "batchLoss";
    this.mean.replaceChildren(button);
    this.changed();
  }
}
