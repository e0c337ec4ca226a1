// @ts-check
"use strict";
// What the playground shows, as a value: it is written into the URL, so that a link or a reload brings it back.

const State = {
  lecture: () => ({
    start: [-1, 0.2], target: 0, counts: [6, 3], rate: 0.5, steps: 0, at: 0,
    batch: [[-1, 2.3, 0.1], [-1, 2.3, 0.1], [-1, 2.3, 0.1], [-1, 2.3, 0.1]], targets: [0, 1, 2, 0], word: "",
  }),

  write(state) {
    const fields = {
      z: state.start, t: state.target === null ? "counts" : state.target, n: state.counts, rate: state.rate, steps: state.steps, at: state.at,
      batch: state.batch.map((row) => row.join(",")).join(";"), targets: state.targets, w: state.word,
    };
    return Object.entries(fields).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&").replace(/%2C/g, ",").replace(/%3B/g, ";");
  },

  // Whatever a link holds becomes a legal state: what is missing or out of range is the lecture's.
  read(hash) {
    const state = State.lecture();
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const numbers = (text) => (text || "").split(",").map((value) => (value.trim() === "" ? NaN : Number(value)));
    const legal = (values, least, most) => values.every((value) => value >= least && value <= most);
    const start = numbers(given.get("z"));
    if (start.length >= 1 && start.length <= 12 && legal(start, -1e6, 1e6)) state.start = start;
    const counts = numbers(given.get("n"));
    const fits = counts.length === state.start.length && legal(counts, 0, 1e9) && counts.some((count) => count > 0);
    state.counts = fits ? counts : state.start.map((_, place) => Math.max(1, 6 - 3 * place));
    const target = given.get("t");
    if (target === "counts") state.target = null;
    else state.target = State.integer(target, 0, state.start.length - 1, 0);
    const rate = Number(given.get("rate"));
    if (given.get("rate") && Number.isFinite(rate)) state.rate = rate;
    state.steps = State.integer(given.get("steps"), 0, 5000, 0);
    state.at = State.integer(given.get("at"), 0, state.steps, state.steps);
    const batch = (given.get("batch") || "").split(";").map(numbers);
    const targets = numbers(given.get("targets"));
    const width = batch[0].length;
    if (batch.length <= 12 && width <= 8 && batch.every((row) => row.length === width && legal(row, -1e6, 1e6)) && targets.length === batch.length
      && targets.every((one) => Number.isInteger(one) && one >= 0 && one < width)) Object.assign(state, { batch, targets });
    state.word = given.get("w") || "";
    return state;
  },

  integer(text, least, most, otherwise) {
    const value = text === null || text === "" ? NaN : Number(text);
    return Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
  },

  share: (state) => Loss.share(state.start.length, state.target, state.counts),

  // Every vector of scores from the start to the last step.
  path(state) {
    const path = [state.start], share = State.share(state);
    for (let step = 0; step < state.steps; step++) path.push(Loss.step(path[step], share, state.rate));
    return path;
  },
};

// The lines of Python that give the numbers of the page.
const Line = {
  list: (values) => `[${values.join(", ")}]`,
  tensor: (values) => `torch.tensor(${Line.list(values)}, dtype=torch.float64)`,
  of: (scores, expression) => `import torch; z = ${Line.tensor(scores)}; print((${expression}).item())`,
  share: (state) =>
    state.target === null ? `n = ${Line.tensor(state.counts)}; y = n / n.sum()` : `y = torch.eye(${state.start.length}, dtype=torch.float64)[${state.target}]`,
  withShare: (state, scores, expression) => `import torch; z = ${Line.tensor(scores)}; ${Line.share(state)}; print((${expression}).item())`,
  descent: (state, steps, expression) =>
    `import torch; z = ${Line.tensor(state.start)}.requires_grad_(); ${Line.share(state)}; s = torch.optim.SGD([z], lr=${state.rate}); ` +
    `[(s.zero_grad(), (-(y * z.log_softmax(0)).sum()).backward(), s.step()) for _ in range(${steps})]; print((${expression}).item())`,
};
