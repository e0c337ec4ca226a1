// @ts-check
"use strict";
// Elements, numbers, colours. Text enters the page through textContent alone.

const Dom = {
  make(tag, attributes, ...children) {
    return Dom.fill(document.createElement(tag), attributes, children);
  },

  svg(tag, attributes, ...children) {
    return Dom.fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  },

  fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "text") element.textContent = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name in element && typeof value === "boolean") element[name] = value;
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  },

  /** An element of whatever kind the page has under `id`. @returns {any} */
  find(id) {
    return document.getElementById(id);
  },

  data() {
    return JSON.parse(Dom.find("data").textContent);
  },

  array(packed) {
    const text = atob(packed.base64);
    const bytes = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
    const kinds = { Float32Array, Float64Array, Int32Array, Int16Array };
    return new kinds[packed.kind](bytes.buffer);
  },

  // As the command line prints them: fixed digits, more where they would show nothing.
  number(value, digits = 4) {
    if (value === null || Number.isNaN(value)) return "none";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const small = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
    const text = small ? value.toExponential(2) : value.toFixed(digits);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace(/-/g, "−");
  },

  whole(value) {
    return Math.round(value).toLocaleString("en-US");
  },

  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  },

  // A number that copies the line of Python that reproduces it.
  copyable(value, line, digits) {
    const text = typeof value === "number" ? Dom.number(value, digits) : value;
    return Dom.make("button", { type: "button", class: "number", "data-line": line, title: "copy the line of Python that gives this number", text });
  },

  table(header, rows) {
    const cell = (tag, value) => Dom.make(tag, {}, value instanceof Node ? value : document.createTextNode(String(value)));
    return Dom.make(
      "table",
      {},
      Dom.make("thead", {}, Dom.make("tr", {}, header.map((value) => cell("th", value)))),
      Dom.make("tbody", {}, rows.map((row) => Dom.make("tr", {}, row.map((value, place) => cell(place ? "td" : "th", value)))))
    );
  },

  // One listener for every number on the page.
  copyOnClick(notice) {
    document.addEventListener("click", (event) => {
      if (!(event.target instanceof Element)) return;
      const button = /** @type {HTMLElement | null} */ (event.target.closest("[data-line]"));
      if (!button) return;
      const line = button.dataset.line;
      const shown = Dom.make("code", { text: line });
      const say = (what) => notice.replaceChildren(Dom.make("strong", { text: what }), " ", shown);
      notice.hidden = false;
      say("select and copy:");
      const clipboard = navigator.clipboard;
      if (clipboard) clipboard.writeText(line).then(() => say("copied:"), () => {});
      clearTimeout(notice.timer);
      notice.timer = setTimeout(() => (notice.hidden = true), 8000);
    });
  },
};
