// The equations of what was clicked, with the chosen row's numbers; each factor lights where it comes from.

import { $, calm, el, fill, number } from "./dom.js";
import { breakable, elementOf, factors, rebuilt } from "./mathml.js";
import { called, emit, key, light, on, select, state } from "./state.js";

const TITLES = {
  input: "From the cell to the input",
  forward: "Forward",
  loss: "The loss",
  backward: "Backward, by the chain rule",
  update: "The update",
};
let wire;
let shownVersion = -1;
let asked = 0;

export function begin(connection) {
  wire = connection;
  on("selected", (element) => { shownVersion = -1; refresh(); if (element) emit("show", "equations"); });
  on("row", () => { shownVersion = -1; refresh(); });
  on("frame", refresh);
  on("facts", () => {
    if (state.selected && !exists(state.selected)) state.selected = null;
    shownVersion = -1;
    welcome();
  });
  on("shown", refresh);
}

function exists({ kind, layer, unit, from, to }) {
  const widths = state.facts?.network?.widths;
  if (!widths) return false;
  if (kind === "loss") return true;
  if (kind === "input") return unit < widths[0];
  if (kind === "output") return unit < widths.at(-1);
  if (kind === "unit") return layer < widths.length - 1 && unit < widths[layer];
  return layer < widths.length && from < widths[layer - 1] && to < widths[layer];
}

const refresh = calm(350, () => {
  const panel = $("panel-equations");
  const { selected, frame } = state;
  if (!selected || !frame || panel.hidden || frame.version === shownVersion || !state.facts?.network) return;
  if (frame.running && panel.contains(document.activeElement) && document.activeElement !== panel) return;
  const mine = ++asked;
  wire.ask("equations", { element: selected, row: state.row }).then(
    (answer) => {
      if (mine !== asked) return;
      shownVersion = answer.version;
      show(answer.equations);
    },
    (error) => { if (mine === asked) fill(panel, el("p", { class: "problem" }, error.message)); },
  );
});

function welcome() {
  if (state.selected) return;
  fill($("panel-equations"), el("p", { class: "lead" }, "Click a unit, a link, an output or the loss: its equations appear here, with the numbers of the chosen row."));
}

function show(equations) {
  const panel = $("panel-equations");
  const parts = [el("h3", { id: "equations-title" }, called(state.selected))];
  let part = "";
  for (const equation of equations) {
    if (equation.part !== part) {
      part = equation.part;
      parts.push(el("h4", {}, TITLES[part]));
    }
    parts.push(...rendered(equation));
  }
  fill(panel, parts);
}

/** An equation as elements whose factors can be pointed at, focused and followed. */
export function rendered(equation) {
  const blocks = rebuilt(equation.html);
  for (const block of blocks) {
    block.dataset.symbol = equation.symbol;
    block.dataset.part = equation.part;
    if (typeof equation.value === "number") block.dataset.value = String(equation.value);
    const found = factors(block);
    for (const { node, symbol } of found) enliven(node, symbol);
    breakable(block);
    const all = [...new Set([equation.symbol, ...found.map(({ symbol }) => symbol)])].map(elementOf).filter(Boolean);
    block.addEventListener("pointerenter", () => light(all));
    block.addEventListener("pointerleave", () => light([]));
  }
  return blocks;
}

function enliven(node, symbol) {
  const element = elementOf(symbol);
  node.classList.add("factor");
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", `${node.textContent}: ${called(element)}`);
  const on = (event) => { event.stopPropagation(); light([element]); node.classList.add("lit"); };
  const off = () => { light([]); node.classList.remove("lit"); };
  node.addEventListener("pointerenter", on);
  node.addEventListener("pointerleave", off);
  node.addEventListener("focus", on);
  node.addEventListener("blur", off);
  const follow = () => { if (key(element) !== key(state.selected)) select(element); };
  node.addEventListener("click", follow);
  node.addEventListener("keydown", (event) => { if (event.key === "Enter") follow(); });
}

/** The cells of the chosen row, and what is predicted. */
export function cells() {
  const box = $("cells");
  const { pass, facts } = state;
  if (!pass || !facts?.network) return fill(box);
  const shown = Object.entries(pass.cells).slice(0, 12).map(([name, value]) => el("span", { class: name === facts.target ? "cell target" : "cell" }, el("b", {}, name), value === "None" ? "missing" : value));
  const more = Object.keys(pass.cells).length - shown.length;
  return fill(box, shown, more > 0 ? el("span", { class: "cell" }, `and ${more} more`) : null, el("span", { class: "cell predicted" }, el("b", {}, "predicted"), predicted(pass)));
}

function predicted({ predicted: values }) {
  const { network } = state.facts;
  if (network.task === "regression") return number(values[0] * network.unit.scale + network.unit.centre, 4);
  const all = network.labels.length === 2 ? [1 - values[0], values[0]] : values;
  const best = all.indexOf(Math.max(...all));
  return `${network.labels[best]} (${(100 * all[best]).toFixed(1)} %)`;
}
