// @ts-check
"use strict";
// The loss of one row, in float64: the formulas of exact2vec/loss/formulas.py.

const Loss = {
  // log p_w = (z_w − m) − log1p(Σ_{i ≠ argmax} exp(z_i − m)), m = max z
  logSoftmax(scores) {
    const largest = Math.max(...scores);
    const place = scores.indexOf(largest);
    let others = 0;
    scores.forEach((score, number) => (others += number === place ? 0 : Math.exp(score - largest)));
    return scores.map((score) => score - largest - Math.log1p(others));
  },

  // p − y; for a single target −Σ of the other p, which keeps its digits as p → 1
  gradient(logP, share) {
    const p = logP.map(Math.exp);
    const only = share.indexOf(1);
    if (only < 0) return p.map((value, place) => value - share[place]);
    const others = p.reduce((sum, value, place) => (place === only ? sum : sum + value), 0);
    return p.map((value, place) => (place === only ? -others : value));
  },

  // q log(q/p) − q + p = q (δ + expm1(−δ)) ≥ 0, δ = log(q/p); its sum is KL(q‖p)
  excessTerm(share, logP) {
    if (share === 0) return Math.exp(logP);
    const ratio = Math.log(share) - logP;
    const series = ratio * ratio * (0.5 - ratio / 6 + (ratio * ratio) / 24);
    return share * (Math.abs(ratio) < 1e-3 ? series : ratio + Math.expm1(-ratio));
  },

  // Everything the page shows of one row; `share` is y: 1 at the target, or the counts over their sum.
  row(scores, share) {
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const largest = Math.max(...scores);
    const shift = scores.map((score) => score - largest);
    const exp = shift.map(Math.exp);
    const logP = Loss.logSoftmax(scores);
    const nll = logP.map((value) => -value + 0);
    const floorTerms = share.map((value) => (value > 0 ? -value * Math.log(value) + 0 : 0));
    const excessTerms = share.map((value, place) => Loss.excessTerm(value, logP[place]));
    return {
      largest, shift, exp, total: sum(exp), p: logP.map(Math.exp), nll, share, gradient: Loss.gradient(logP, share), floorTerms, excessTerms,
      loss: sum(share.map((value, place) => (value > 0 ? value * nll[place] : 0))),
      floor: sum(floorTerms), excess: sum(excessTerms),
    };
  },

  share(count, target, counts) {
    if (target !== null) return Array.from({ length: count }, (_, place) => (place === target ? 1 : 0));
    const total = counts.reduce((sum, value) => sum + value, 0);
    return counts.map((value) => value / total);
  },

  // w ← w − rate · (p − y)
  step(scores, share, rate) {
    const gradient = Loss.gradient(Loss.logSoftmax(scores), share);
    return scores.map((score, place) => score - rate * gradient[place]);
  },
};
