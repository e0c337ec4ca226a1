// @ts-check
"use strict";
// The report of one run or several, from the data in the page.

(function report() {
  const data = Dom.data(), { runs, words } = data, { one, many } = data.kind, first = runs[0];
  const several = runs.length > 1;
  let current = 0;

  function cards() {
    const fact = (value, name) => Dom.make("div", { class: "fact" }, Dom.make("b", { text: value }), Dom.make("span", { text: name }));
    for (const run of runs) {
      const { training, held_out, epoch } = run.summary;
      const main = held_out || training;
      Dom.find("cards").append(
        several ? Dom.make("h3", { text: run.name }) : "",
        Dom.make("div", { class: "facts" },
          held_out || data.pairs_are_held_out ? fact(held_out ? Dom.number(held_out.nll) : "none", "held-out NLL, nats a pair") : "", fact(Dom.number(main.unigram), `unigram's ${held_out ? "held-out " : ""}NLL`),
          fact(Dom.number(training.nll), "training NLL"), fact(Dom.number(training.floor), "floor: entropy of the training counts"), fact(Dom.number(training.excess), "excess above the floor"),
          fact(Dom.whole(words.length), many), fact(Dom.whole(training.pairs), "weighted pairs"), fact(Dom.number(epoch, 2).replace(/\.?0+$/, ""), "epochs"), fact(Curves.prior(run), "prior on inputs, outputs"), fact(time(run), "training, seconds"))
      );
    }
  }

  const time = (run) => (run.times.length ? Dom.number(run.times[run.times.length - 1].seconds, 1) : "unknown");
  const shown = (value) => (value === null || value === undefined ? "–" : typeof value === "number" ? value.toLocaleString("en-US", { maximumSignificantDigits: 12 }) : String(value));
  const pairs = (rows) => Dom.make("dl", { class: "pairs" }, rows.flatMap(([name, value]) => [Dom.make("dt", { text: name }), Dom.make("dd", { text: shown(value) })]));

  function about() {
    Dom.find("read").append(pairs(data.read));
    if (several) {
      const table = Dom.table(["setting", ...runs.map((run) => run.name)], data.same.map(([name, ...values]) => {
        const differs = values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0]));
        return [Dom.make(differs ? "b" : "span", { text: name }), ...values.map((value) => Dom.make(differs ? "b" : "span", { text: shown(value) }))];
      }));
      table.className = "words";
      Dom.find("settings").append(table);
    } else Dom.find("settings").append(pairs(data.same));
    for (const run of runs) {
      if (several) Dom.find("versions").append(Dom.make("h3", { text: run.name }));
      Dom.find("versions").append(pairs([...Object.entries(run.versions), ["machine", run.machine], ["command", run.command.join(" ")]]));
    }
  }

  function curves() {
    Curves.training(runs, "nll", "training", "NLL [nats a pair]");
    const objective = runs.some((run) => run.history.some((row) => row.objective !== null && row.objective !== undefined));
    Dom.find("objectiveBox").hidden = !objective;
    if (objective) Curves.training(runs, "objective", "objective", "objective [nats a pair]");
    Curves.bands(runs, data.bands, "context", "contextBands", `times the context ${one} was counted`);
    Curves.bands(runs, data.bands, "target", "targetBands", `times the predicted ${one} was counted`);
    Curves.calibration(runs, "calibration");
    if (runs.some((run) => run.parts.length)) Curves.shares(runs, "shares");
  }

  function predicted() {
    const run = runs[current];
    for (const id of ["best", "worst"]) {
      const table = Dom.table([one, "counted", "loss", "unigram", "gain"], run[id].map(([word, count, ...nats]) => [link(word), Dom.whole(count), ...nats.map((value) => Dom.number(value, 3))]));
      table.className = "words";
      Dom.find(id).replaceChildren(table);
    }
  }

  function evaluation() {
    const table = Dom.table(["", ...(several ? ["run"] : []), "value", "95 %", "of"], runs.flatMap((run) => run.evaluation.map(([what, value, interval, of]) => [what, ...(several ? [run.name] : []), Dom.number(value, 4), interval, of])));
    table.className = "words";
    Dom.find("evaluation").append(table);
  }

  function parts() {
    if (!runs.some((run) => run.parts.length)) return;
    Dom.find("nextSection").hidden = false;
    const rows = runs.flatMap((run) => run.parts.map((part) => [...(several ? [run.name] : []), part.name, Dom.number(part.share, 4), part.nll === null ? "not asked" : Dom.number(part.nll, 4)]));
    const table = Dom.table([...(several ? ["run"] : []), "part", "share", "NLL alone"], rows);
    table.className = "words";
    Dom.find("parts").append(table);
  }

  const link = (word) => Dom.make("button", { type: "button", class: "word", text: word, onclick: () => show(word) });

  function show(word) {
    const row = words.indexOf(word), box = Dom.find("neighbours");
    Dom.find("word").value = word;
    map.choose(row);
    if (row < 0) return box.replaceChildren(`${JSON.stringify(word)} is not among the ${Dom.whole(words.length)} ${many}.`);
    const most = near.length / runs[current].near_of;
    if (row >= most) return box.replaceChildren(`${JSON.stringify(word)} is on the map; the neighbours of the ${Dom.whole(most)} most frequent ${many} are kept here. exact2vec neighbors knows all.`);
    const rows = Array.from({ length: runs[current].near_of }, (_, place) => row * runs[current].near_of + place).map((at) => [link(words[near[at]]), Dom.number(cosines[at], 4)]);
    const table = Dom.table([Dom.make("span", { text: `near ${word}` }), "cosine"], rows);
    table.className = "words";
    box.replaceChildren(table);
  }

  let map, near, cosines;

  function words_of(number) {
    current = number;
    const run = runs[current];
    [near, cosines] = [Dom.array(run.near), Dom.array(run.cosines)];
    Dom.find("mapNote").textContent = `${run.map.note} Click into the map and turn the wheel to zoom; drag to move; click one to see its neighbours.`;
    map = new WordMap(Dom.find("mapBox"), { words, many, points: Dom.array(run.map.points), values: Dom.array(run.map.nll), name: "loss [nats]", groups: run.map.groups, picked: (place) => show(words[place]) });
    predicted();
    show(words[Math.min(100, words.length - 1)]);
    map.reset();
  }

  Dom.find("title").textContent = runs.map((run) => run.name).join(", ");
  Dom.find("least").textContent = Dom.whole(data.least_pairs);
  document.title = `exact2vec: ${runs.map((run) => run.name).join(", ")}`;
  cards();
  about();
  evaluation();
  parts();
  if (several) {
    Dom.find("which").hidden = false;
    Dom.find("run").append(...runs.map((run, number) => Dom.make("option", { value: number, text: run.name })));
    Dom.find("run").addEventListener("change", () => words_of(Number(Dom.find("run").value)));
  }
  Dom.find("suggestions").append(...words.slice(0, 2000).map((word) => Dom.make("option", { value: word })));
  Dom.find("search").addEventListener("submit", (event) => {
    event.preventDefault();
    show(Dom.find("word").value.trim());
  });
  words_of(0);
  window.addEventListener("load", curves); // plotly stands behind this script, so that words and numbers are there first
  window.addEventListener("resize", () => map.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    curves();
    map.draw();
  });
})();
