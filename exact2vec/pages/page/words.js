// @ts-check
"use strict";
// The words of a run: probabilities beside counts, loss, neighbours, all computed here from the run's own vectors.

class Words {
  constructor(run, kind, state, changed) {
    this.run = run;
    this.kind = kind;
    this.state = state;
    this.changed = changed;
    this.words = run.words;
    this.dim = run.dim;
    this.arrays = Object.fromEntries(Object.entries(run.arrays).map(([name, packed]) => [name, Dom.array(packed)]));
    this.place = new Map(run.words.map((word, place) => [word, place]));
    this.unit = this.unitRows();
    for (const id of ["runLinks", "words", "map", "training"]) Dom.find(id).hidden = false;
    Dom.find("runName").textContent = run.name;
    Dom.find("mapNote").textContent = `${run.map.note} Click into the map and turn the wheel to zoom; drag to move; click one to look at it.`;
    this.map = new WordMap(Dom.find("mapBox"), {
      words: this.words, many: this.kind.many, points: this.arrays.points, values: this.arrays.nll, name: "loss [nats]", groups: run.map.groups, picked: (place) => this.show(this.words[place], false),
    });
    Dom.find("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.show(Dom.find("word").value.trim());
    });
    Dom.find("order").addEventListener("change", () => this.show(this.state.word, false));
    Dom.find("word").addEventListener("input", () => this.suggest());
    this.update();
    this.show(this.place.has(state.word) || state.word ? state.word : this.words[Math.min(100, this.words.length - 1)]);
  }

  unitRows() {
    const { embedding } = this.arrays, { dim } = this;
    const unit = Float32Array.from(embedding);
    for (let row = 0; row < unit.length; row += dim) {
      let square = 0;
      for (let place = row; place < row + dim; place++) square += unit[place] * unit[place];
      const length = Math.sqrt(square) || 1;
      for (let place = row; place < row + dim; place++) unit[place] /= length;
    }
    return unit;
  }

  products(vector, matrix) {
    const { dim } = this, found = new Float64Array(this.words.length);
    for (let row = 0; row < found.length; row++) {
      let sum = 0;
      for (let place = 0; place < dim; place++) sum += vector[place] * matrix[row * dim + place];
      found[row] = sum;
    }
    return found;
  }

  // log p(w | c) of every word, the subsampling divided out, as Vectors.log_probabilities
  logProbabilities(row) {
    const { inputs, outputs, bias, log_keep } = this.arrays, { dim } = this;
    const scores = this.products(inputs.subarray(row * dim, (row + 1) * dim), outputs).map((score, place) => score + bias[place] - log_keep[place]);
    let largest = -Infinity, sum = 0;
    for (const score of scores) largest = Math.max(largest, score);
    for (const score of scores) sum += Math.exp(score - largest);
    return scores.map((score) => score - largest - Math.log(sum));
  }

  // The counted words of a row: place → k; `least` is what an unlisted word may have been counted at most.
  counted(row) {
    const { indptr, indices, counts } = this.arrays;
    const found = new Map();
    for (let cell = indptr[row]; cell < indptr[row + 1]; cell++) found.set(indices[cell], counts[cell]);
    const whole = found.size === this.arrays.row_cells[row], total = this.arrays.row_total[row];
    return { found, least: whole ? 0 : Math.min(total, ...found.values()), total };
  }

  top(values, most, without = -1) {
    const order = Array.from(values.keys()).filter((place) => place !== without);
    order.sort((one, other) => values[other] - values[one] || one - other);
    return order.slice(0, most);
  }

  suggest() {
    const typed = Dom.find("word").value;
    const found = [];
    for (const word of this.words) if (typed && word.startsWith(typed) && found.push(word) >= 10) break;
    Dom.find("suggestions").replaceChildren(...found.map((word) => Dom.make("option", { value: word })));
  }

  // The most probable words and the most counted ones, or those whose probability here is the largest multiple of their share of the text.
  shown(logP, found) {
    if (Dom.find("order").value === "typical") {
      const total = this.run.counts.reduce((sum, count) => sum + count, 0);
      return this.top(logP.map((value, place) => value - Math.log(this.run.counts[place] / total)), 16);
    }
    const counted = Array.from(found.entries()).sort((a, b) => b[1] - a[1]).slice(0, 8).map((entry) => entry[0]);
    return Array.from(new Set([...this.top(logP, 12), ...counted])).sort((a, b) => logP[b] - logP[a]);
  }

  link(word) {
    return Dom.make("button", { type: "button", class: "word", text: word, onclick: () => this.show(word) });
  }

  say(...parts) {
    Dom.find("wordNotice").hidden = parts.length === 0;
    Dom.find("wordNotice").replaceChildren(...parts);
  }

  show(word, centre = true) {
    const row = this.place.get(word);
    this.state.word = word;
    this.changed();
    Dom.find("word").value = word;
    if (row === undefined) return this.unseen(word);
    this.say();
    this.map.choose(row, centre);
    this.facts(row);
    const logP = this.logProbabilities(row), { found, least, total } = this.counted(row);
    this.predicted(word, this.shown(logP, found).map((place) => {
      const count = found.get(place);
      const share = count === undefined ? (least ? `≤ ${Dom.number((100 * least) / total, 3)}` : "0") : Dom.number((100 * count) / total, 3);
      return [this.words[place], logP[place], share, count === undefined ? (least ? `≤ ${Dom.whole(least / this.run.unit)}` : "0") : Dom.number(count / this.run.unit, 1)];
    }));
    const cosines = this.products(this.unit.subarray(row * this.dim, (row + 1) * this.dim), this.unit);
    this.neighbours(word, this.top(cosines, 12, row).map((place) => [this.words[place], cosines[place]]));
  }

  line(word, expression) {
    return `import math, exact2vec as e2v; v = e2v.load(${JSON.stringify(this.run.path)}); print(${expression.replace(/WORD/g, () => JSON.stringify(word))})`;
  }

  facts(row) {
    const { nll, row_unigram, row_floor } = this.arrays, word = this.words[row];
    const facts = [
      [Dom.whole(this.run.counts[row]), "times counted"], [Dom.number(nll[row]), "loss as a context, nats a pair"], [Dom.number(row_floor[row]), "floor of that"],
      [Dom.number(nll[row] - row_floor[row]), "excess above the floor"], [Dom.number(row_unigram[row]), "unigram's loss there"],
    ];
    Dom.find("wordName").textContent = word;
    Dom.find("wordFacts").replaceChildren(...facts.map(([value, name]) => Dom.make("div", { class: "fact" }, Dom.make("b", { text: value }), Dom.make("span", { text: name }))));
  }

  predicted(word, rows) {
    const cells = rows.map(([near, logP, share, count]) => {
      const at = this.line(word, `math.exp(v.log_probabilities(WORD)[v.key_to_index[${JSON.stringify(near)}]])`);
      return [this.link(near), Dom.copyable(100 * Math.exp(logP), at.replace("print(math", "print(100 * math"), 3), share, Dom.copyable(-logP, at.replace("print(math.exp(", "print(-(")), count];
    });
    Dom.find("wordTable").replaceChildren(Dom.table(["near it", "p  %", "counted  %", "−log p", "pairs"], cells));
    Dom.find("wordTable").firstChild.className = "words";
  }

  neighbours(word, rows) {
    const cells = rows.map(([near, cosine]) => [this.link(near), Dom.copyable(cosine, this.line(word, `v.similarity(WORD, ${JSON.stringify(near)})`))]);
    Dom.find("neighbourTable").replaceChildren(Dom.table([this.kind.one, "cosine"], cells));
    Dom.find("neighbourTable").firstChild.className = "words";
  }

  // A word without a row: composed by the server where the run can, otherwise the nearest spellings.
  unseen(word) {
    this.map.choose(-1);
    Dom.find("wordName").textContent = "";
    for (const id of ["wordFacts", "wordTable", "neighbourTable"]) Dom.find(id).replaceChildren();
    const near = this.spellings(word).map((one) => this.link(one));
    const among = `${JSON.stringify(word)} is not among the ${Dom.whole(this.words.length)} ${this.kind.many}`;
    this.say(`${among}; nearest spelling: `, ...near);
    if (!location.protocol.startsWith("http")) return;
    fetch(`composed?word=${encodeURIComponent(word)}`).then((answer) => (answer.ok ? answer.json() : null)).then((found) => {
      if (!found || this.state.word !== word) return;
      Dom.find("wordName").textContent = `${word} (composed)`;
      this.say(`${among}: composed from its parts, never trained; nearest spelling: `, ...near);
      this.predicted(word, found.p.map(([other, logP]) => [other, logP, "–", "–"]));
      this.neighbours(word, found.neighbours);
    }, () => {});
  }

  spellings(word) {
    const far = (one, other) => {
      let row = Array.from({ length: other.length + 1 }, (_, place) => place);
      for (let i = 1; i <= one.length; i++) {
        const next = [i];
        for (let j = 1; j <= other.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
        row = next;
      }
      return row[other.length];
    };
    const close = this.words.filter((other) => Math.abs(other.length - word.length) <= 2);
    const distance = new Map(close.map((other) => [other, far(word, other)]));
    return close.sort((one, other) => distance.get(one) - distance.get(other)).slice(0, 4);
  }

  update() {
    const { history, baselines } = this.run;
    const points = (name) => history.filter((row) => row[name] !== null && row[name] !== undefined).map((row) => [row.epoch, row[name]]);
    const series = [{ name: "training", kind: 0, points: points("nll") }, { name: "held-out", kind: 1, points: points("held_out_nll") }].filter((one) => one.points.length);
    const levels = Object.entries(baselines).map(([name, y]) => ({ name, y }));
    if (series.length) Plot.lines(Dom.find("trainingCurve"), { series, levels, xName: "epoch", yName: "NLL  [nats a pair]", title: "training curve", whole: true, height: 300 });
    this.map.draw();
  }
}
