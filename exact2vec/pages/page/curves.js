// @ts-check
"use strict";
// The report's charts, drawn by plotly: SVG traces only, so that no policy needs to allow eval.

const Curves = {
  DASHES: ["solid", "dash", "dot", "dashdot"],
  SYMBOLS: ["circle", "square", "diamond", "triangle-up", "x", "star"],

  // plotly reads a little HTML in names: signs that would open a tag are written as entities
  text(name) {
    return String(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  },

  layout(xTitle, yTitle, more = {}) {
    const axis = { gridcolor: Dom.colour("grid"), linecolor: Dom.colour("soft"), zerolinecolor: Dom.colour("line"), automargin: true };
    const { xaxis = {}, yaxis = {}, ...rest } = more;
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: Dom.colour("soft"), size: 13, family: "system-ui, sans-serif" },
      margin: { l: 60, r: 16, t: 30, b: 50 }, height: 360, hovermode: "closest", legend: { orientation: "h", x: 0, y: 1.03, yanchor: "bottom", font: { color: Dom.colour("ink") } },
      hoverlabel: { font: { family: "system-ui, sans-serif" } },
      xaxis: { ...axis, title: { text: xTitle }, ...xaxis }, yaxis: { ...axis, title: { text: yTitle }, ...yaxis }, ...rest,
    };
  },

  draw(id, traces, layout) {
    window["Plotly"].react(Dom.find(id), traces, layout, { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
  },

  // One colour a run, one dash a kind of line.
  trace(run, kind, name, x, y, more = {}) {
    const colour = Dom.colour(`k${run % 6}`);
    const line = { color: colour, dash: Curves.DASHES[kind % 4], width: 2.2 };
    return { type: "scatter", mode: "lines+markers", name: Curves.text(name), x, y, line, marker: { size: 7, symbol: Curves.SYMBOLS[(run + kind) % 6], color: colour }, ...more };
  },

  named(runs, run, what) {
    return runs.length > 1 ? `${run.name}: ${what}` : what;
  },

  prior: (run) => (run.prior ? `κ ${run.prior.join(", ")}` : "no shrinkage"),

  training(runs, column, id, yTitle) {
    const traces = [];
    runs.forEach((run, number) => {
      for (const [kind, name, key] of [[0, "training", column], [1, "held-out", `held_out_${column}`]]) {
        const rows = run.history.filter((row) => row[key] !== null && row[key] !== undefined);
        const errors = { type: "data", array: rows.map((row) => row[`${key}_standard_error`] || 0), visible: rows.some((row) => row[`${key}_standard_error`]) };
        if (rows.length) traces.push(Curves.trace(number, kind, Curves.named(runs, run, name), rows.map((row) => row.epoch), rows.map((row) => row[key]), { error_y: errors }));
      }
    });
    const levels = column === "nll" ? Object.entries(runs[0].baselines) : [];
    const shapes = levels.map(([, y]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: Dom.colour("soft"), width: 1.3, dash: "dot" } }));
    const annotations = levels.map(([name, y]) => ({ xref: "paper", x: 1, xanchor: "right", y, yanchor: "bottom", text: `${name} ${Dom.number(y, 3)}`, showarrow: false, font: { color: Dom.colour("soft") } }));
    const values = traces.flatMap((trace) => trace.y).concat(levels.map((level) => level[1]));
    const room = 0.06 * (Math.max(...values) - Math.min(...values) || 1);
    Curves.draw(id, traces, Curves.layout("epoch", yTitle, { shapes, annotations, yaxis: { range: [Math.min(...values) - room, Math.max(...values) + room] } }));
  },

  bands(runs, labels, which, id, xTitle) {
    const traces = [], differ = runs.some((run) => Curves.prior(run) !== Curves.prior(runs[0]));
    runs.forEach((run, number) => {
      for (const [kind, part, name] of [[0, "training", "training"], [1, "held_out", "held-out"]]) {
        if (run.bands[part]) traces.push(Curves.trace(number, kind, Curves.named(runs, run, differ ? `${name}, ${Curves.prior(run)}` : name), labels, run.bands[part][which]));
      }
    });
    const unigram = runs[0].bands.held_out || runs[0].bands.training;
    const name = `unigram, ${runs[0].bands.held_out ? "held-out" : "training"}`;
    traces.push(Curves.trace(4, 2, name, labels, unigram[`${which}_unigram`]));
    Curves.draw(id, traces, Curves.layout(xTitle, "NLL [nats a pair]", { xaxis: { type: "category" } }));
  },

  // The λ of each part: one bar a run
  shares(runs, id) {
    const names = [...new Set(runs.flatMap((run) => run.parts.map((part) => part.name)))];
    const share = (run, name) => (run.parts.find((part) => part.name === name) || { share: 0 }).share;
    const traces = names.map((name, number) => ({
      type: "bar", orientation: "h", name, y: runs.map((run) => Curves.text(run.name)), x: runs.map((run) => share(run, name)),
      marker: { color: Dom.colour(`k${number}`) }, text: runs.map((run) => (share(run, name) > 0.03 ? Dom.number(share(run, name), 2) : "")), insidetextanchor: "middle",
    }));
    Curves.draw(id, traces, Curves.layout("share λ of p", "", { barmode: "stack", height: 150 + 40 * runs.length, xaxis: { range: [0, 1] }, yaxis: { type: "category" } }));
  },

  calibration(runs, id) {
    /** @type {object[]} */
    const traces = [{ type: "scatter", mode: "lines", name: "as predicted", x: [1e-8, 1], y: [1e-8, 1], line: { color: Dom.colour("soft"), dash: "dot", width: 1.3 }, hoverinfo: "skip" }];
    let least = 1;
    runs.forEach((run, number) => {
      for (const [kind, part, name] of [[0, "training", "training"], [1, "held_out", "held-out"], [2, "next", "what comes next, held-out"]]) {
        const found = run.calibration[part];
        if (!found) continue;
        const shown = found.predicted.map((_, place) => place).filter((place) => found.counted[place] > 0 && found.cells[place] >= 20);
        const of = (values) => shown.map((place) => values[place]);
        least = Math.min(least, ...of(found.predicted), ...of(found.counted));
        const texts = shown.map((place) => `${found.cells[place].toLocaleString("en-US")} cells, ${(100 * found.pairs[place]).toFixed(2)} % of the pairs`);
        traces.push(Curves.trace(number, kind, Curves.named(runs, run, name), of(found.predicted), of(found.counted), { text: texts }));
      }
    });
    const range = [Math.log10(least) - 0.2, 0];
    const axis = { type: "log", range, exponentformat: "power", dtick: 1 };
    Curves.draw(id, traces, Curves.layout("predicted p, mean of the bin", "counted n / N, mean of the bin", { xaxis: axis, yaxis: axis }));
  },
};
