// @ts-check
"use strict";
// Small charts in SVG: lines over steps, bars with arrows, the curve of −log p.

const Plot = {
  ticks(low, high, most) {
    const rough = (high - low) / most || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const size = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough * 0.999);
    const found = [];
    for (let tick = Math.ceil(low / size - 1e-9); tick * size <= high + size * 1e-9; tick++) found.push(Number((tick * size).toPrecision(12)));
    return found;
  },

  // A frame with axes: returns the drawing and the functions from data to pixels.
  frame(box, { x, y, xName, yName, title, height = 230, whole = false }) {
    const width = Math.max(240, box.clientWidth);
    const edge = { left: 60, right: 14, top: 14, bottom: 40 };
    const [xLow, xHigh] = x[0] === x[1] ? [x[0] - 1, x[1] + 1] : x;
    const [yLow, yHigh] = y[0] === y[1] ? [y[0] - 1, y[1] + 1] : y;
    const toX = (value) => edge.left + ((value - xLow) / (xHigh - xLow)) * (width - edge.left - edge.right);
    const toY = (value) => height - edge.bottom - ((value - yLow) / (yHigh - yLow)) * (height - edge.top - edge.bottom);
    const svg = Dom.svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
    for (const tick of Plot.ticks(yLow, yHigh, 5)) {
      svg.append(
        Dom.svg("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: toY(tick), y2: toY(tick) }),
        Dom.svg("text", { x: edge.left - 8, y: toY(tick) + 4, "text-anchor": "end", text: String(tick).replace("-", "−") })
      );
    }
    for (const tick of Plot.ticks(xLow, xHigh, whole ? Math.min(10, xHigh - xLow) : 6)) {
      if (whole && tick % 1) continue;
      svg.append(Dom.svg("text", { x: toX(tick), y: height - edge.bottom + 18, "text-anchor": "middle", text: String(tick).replace("-", "−") }));
    }
    const middle = (edge.top + height - edge.bottom) / 2;
    svg.append(
      Dom.svg("line", { class: "axis", x1: edge.left, x2: width - edge.right, y1: height - edge.bottom, y2: height - edge.bottom }),
      Dom.svg("text", { class: "name", x: (edge.left + width - edge.right) / 2, y: height - 5, "text-anchor": "middle", text: xName }),
      Dom.svg("text", { class: "name", x: 12, y: middle, transform: `rotate(-90 12 ${middle})`, "text-anchor": "middle", text: yName })
    );
    box.replaceChildren(svg);
    return { svg, toX, toY, width, height, edge };
  },

  // series: [{name, points: [[x, y]…], kind: 0…}], levels: [{name, y}]; kinds differ in colour and in dashes.
  lines(box, { series, levels = [], mark = undefined, zero = false, xName, yName, title, height = 230, whole = false }) {
    const all = series.flatMap((one) => one.points);
    const values = all.map((point) => point[1]).concat(levels.map((level) => level.y));
    const low = Math.min(...(zero ? [0] : []), ...values), high = Math.max(...values), room = 0.06 * (high - low || 1);
    const first = Math.min(...all.map((point) => point[0])), last = Math.max(first + 1, ...all.map((point) => point[0]));
    const { svg, toX, toY, width, edge } = Plot.frame(box, { x: [first, last], y: [low - room, high + room], xName, yName, title, height, whole });
    for (const level of levels) {
      svg.append(
        Dom.svg("line", { class: "level", x1: edge.left, x2: width - edge.right, y1: toY(level.y), y2: toY(level.y) }),
        Dom.svg("text", { class: "name", x: width - edge.right, y: toY(level.y) - 5, "text-anchor": "end", text: level.name })
      );
    }
    if (mark !== undefined) svg.append(Dom.svg("line", { class: "mark", x1: toX(mark), x2: toX(mark), y1: edge.top, y2: toY(low - room) }));
    for (const { points, kind } of series) {
      const place = points.map(([x, y]) => `${toX(x)},${toY(y)}`);
      svg.append(Dom.svg("polyline", { class: `line kind${kind % 6}`, points: place.join(" ") }));
      if (points.length <= 60) svg.append(...points.map(([x, y]) => Dom.svg("circle", { class: `dot kind${kind % 6}`, cx: toX(x), cy: toY(y), r: 3 })));
    }
    box.append(Plot.legend(series));
  },

  legend(series) {
    const key = (kind) =>
      Dom.svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, Dom.svg("line", { class: `line kind${kind % 6}`, x1: 0, x2: 26, y1: 5, y2: 5 }));
    return Dom.make("p", { class: "legend" }, series.filter((one) => one.name).map((one) => Dom.make("span", {}, key(one.kind), one.name)));
  },

  // p beside y for each class, and the gradient p − y as an arrow from y to p.
  bars(box, { p, share, gradient }) {
    const names = { x: [-0.5, p.length - 0.25], y: [0, 1], xName: "class", yName: "probability", title: "p beside the target, and the gradient p − y", whole: true };
    const { svg, toX, toY } = Plot.frame(box, { ...names, height: 250 });
    const unit = toX(1) - toX(0), bar = Math.min(unit * 0.28, 46);
    svg.append(
      Dom.svg("defs", {},
        Dom.svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
          Dom.svg("rect", { class: "hatchPaper", width: 6, height: 6 }), Dom.svg("rect", { class: "hatchLine", width: 2.6, height: 6 })))
    );
    p.forEach((value, place) => {
      const x = toX(place), arrow = x + bar * 1.45;
      svg.append(
        Dom.svg("rect", { class: "barP", x: x - bar - 1, width: bar, y: toY(value), height: Math.max(0, toY(0) - toY(value)) }),
        Dom.svg("rect", { class: "barY", x: x + 1, width: bar, y: toY(share[place]), height: Math.max(0, toY(0) - toY(share[place])) })
      );
      const from = toY(share[place]), to = toY(value), tip = Math.sign(to - from) * Math.min(7, Math.abs(to - from));
      svg.append(
        Dom.svg("line", { class: "arrow", x1: arrow, x2: arrow, y1: from, y2: to - tip * 0.6 }),
        Dom.svg("path", { class: "arrowHead", d: `M${arrow} ${to} l-4.5 ${-tip} h9 z` })
      );
      if (p.length <= 6) {
        const label = { class: "arrowName", x: arrow + 7, y: (from + to) / 2 + 4 };
        svg.append(Dom.svg("text", { ...label, text: (gradient[place] > 0 ? "+" : "") + Dom.number(gradient[place], 2) }));
      }
    });
  },

  // −log p over p, with each class on it; the size of a point is its share of the loss.
  curve(box, { p, share }) {
    const top = Math.min(16, Math.max(4.2, 1.1 * Math.max(...p.map((value) => -Math.log(value)).filter(Number.isFinite))));
    const names = { x: [0, 1], y: [0, top], xName: "p of the class", yName: "−log p  [nats]", title: "the curve of −log p" };
    const { svg, toX, toY } = Plot.frame(box, { ...names, height: 250 });
    const points = Array.from({ length: 400 }, (_, place) => Math.exp(-top * (1 - place / 399)));
    svg.append(Dom.svg("polyline", { class: "line kind4", points: points.map((x) => `${toX(x)},${toY(-Math.log(x))}`).join(" ") }));
    p.forEach((value, place) => {
      const y = toY(Math.min(top, -Math.log(value)));
      svg.append(
        Dom.svg("circle", { class: share[place] > 0 ? "point" : "point hollow", cx: toX(value), cy: y, r: share[place] > 0 ? 5 + 3 * share[place] : 4 }),
        Dom.svg("text", { class: share[place] > 0 ? "pointName strong" : "pointName", x: toX(value) + (value > 0.8 ? -10 : 11), y: y - (value > 0.8 ? 11 : 7),
          "text-anchor": value > 0.8 ? "end" : "start", text: `class ${place}` })
      );
    });
  },
};
