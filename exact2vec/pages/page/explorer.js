// @ts-check
"use strict";
// The explorer: the playground, and with a run its words. The state stands in the URL.

(function explorer() {
  const data = Dom.data();
  const state = State.read(location.hash);
  let written = "";
  const changed = () => {
    written = `#${State.write(state)}`;
    history.replaceState(null, "", written);
  };
  const row = new Row(state, changed);
  const batch = new Batch(state, changed);
  const words = data.run ? new Words(data.run, data.kind, state, changed) : null;
  Dom.copyOnClick(Dom.find("notice"));
  Dom.find("link").addEventListener("click", () => (Dom.find("link").dataset.line = location.href));
  for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-section]"))) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the hash holds the state
      Dom.find(link.dataset.section).scrollIntoView();
    });
  }
  const redraw = () => [row, words].filter(Boolean).forEach((part) => part.update());
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("hashchange", () => {
    if (location.hash === written) return;
    Object.assign(state, State.read(location.hash));
    row.build();
    batch.build();
    if (words) words.show(state.word);
  });
})();
