// The strip of training settings, and the cards above the layers. A change makes the network anew.

import { $, choice, el, fill, numeric, tell } from "./dom.js";
import { view } from "./network.js";
import { on, state } from "./state.js";

const MOST_CARDS = 32;
let wire;

export function begin(connection) {
  wire = connection;
  on("facts", () => { strip(); cards(); });
  document.addEventListener("laid", cards);
}

/** Ask for changed settings. */
export function change(changes) {
  const before = state.facts.settings;
  const settings = { ...before, ...changes };
  state.facts.settings = settings; // a further change may come before the answer
  return wire.ask("settings", { settings }).catch((error) => {
    tell(error.message, true);
    if (state.facts.settings === settings) state.facts.settings = before;
    strip();
    cards();
  });
}

// ------------------------------------------------------------------ rows with parameters: "huber(delta=2)"

/** A row's name and its parameters' values. */
function spelt(text) {
  const found = text.match(/^(\w+)(?:\((.*)\))?$/);
  const values = {};
  for (const part of (found?.[2] ?? "").split(",")) {
    const [name, value] = part.split("=").map((side) => side.trim());
    if (value !== undefined) values[name] = Number(value);
  }
  return { name: found?.[1] ?? text, values };
}

function spell(name, values) {
  const parts = Object.entries(values).map(([key, value]) => `${key}=${value}`);
  return parts.length ? `${name}(${parts.join(", ")})` : name;
}

/** A list of a table's rows, with a field for each parameter of the chosen one. */
function rowOf(label, kind, text, onchange) {
  const rows = state.hello.choices[kind];
  const { name, values } = spelt(text);
  const fields = [choice(label, rows.map((row) => [row.name, row.name.replaceAll("_", " "), row.doc]), name, onchange)];
  const row = rows.find((candidate) => candidate.name === name);
  for (const [parameter, given] of Object.entries(row?.parameters ?? {})) {
    const now = values[parameter] ?? given;
    fields.push(numeric(parameter.replaceAll("_", " "), now, (value) => onchange(spell(name, { ...values, [parameter]: value })), { step: "any", class: "narrow" }));
  }
  return fields;
}

// ------------------------------------------------------------------ the strip

function strip() {
  const { settings, network } = state.facts;
  const regression = network ? network.task === "regression" : settings.task === "regression";
  const set = (name) => (value) => change({ [name]: value });
  const loss = regression
    ? rowOf("Loss", "loss", settings.loss, set("loss"))
    : [choice("Loss", [["", network?.loss.replaceAll("_", " ") ?? "cross entropy", ""]], "", () => {}, { disabled: true })];
  keepFocus($("settings"), () => fill(
    $("settings"),
    loss,
    rowOf("Optimiser", "optimiser", settings.optimiser, set("optimiser")),
    numeric("Learning rate", settings.learning_rate, set("learning_rate"), { step: "any", min: 0 }),
    rowOf("Schedule", "schedule", settings.schedule, set("schedule")),
    numeric("Batch size", settings.batch_size, set("batch_size"), { min: 1 }),
    numeric("L2 penalty", settings.l2, set("l2"), { step: "any", min: 0 }),
    numeric("L1 penalty", settings.l1, set("l1"), { step: "any", min: 0 }),
    rowOf("Initialiser", "init", settings.init, set("init")),
    numeric("Seed", settings.seed, set("seed"), { min: 0 }),
    numeric("Epochs planned", settings.epochs, set("epochs"), { min: 1 }),
  ));
}

/** Fill a box anew without losing the place, and what is being typed, of whoever is at work there. */
export function keepFocus(box, refill) {
  const fields = () => [...box.querySelectorAll("input, select, button")];
  const active = document.activeElement;
  const at = fields().indexOf(active);
  const typed = active?.dataset.known !== undefined && active.value !== active.dataset.known ? active.value : null;
  const { known } = active?.dataset ?? {};
  refill();
  const again = fields()[at];
  if (at < 0 || !again) return;
  again.focus();
  if (typed !== null && again.dataset.known === known) again.value = typed;
}

// ------------------------------------------------------------------ cards above the layers

function cards() {
  const { plan } = view;
  const network = state.facts?.network;
  const editor = $("editor");
  if (!plan || !network) return fill(editor);
  const last = plan.places.length - 1;
  const { layers } = state.facts.settings;
  keepFocus(editor, () => {
    const made = [titled(plan, 0, "Inputs", String(network.widths[0])), titled(plan, last, "Output", network.link === "identity" ? "no link" : network.link)];
    layers.forEach((layer, i) => made.push(card(plan, layers, layer, i)));
    for (let i = 0; i <= layers.length && layers.length < MOST_CARDS; i++) made.push(adder(plan, layers, i));
    fill(editor, made);
  });
  editor.style.width = `${plan.width}px`;
  const { rows } = network;
  $("summary").textContent = `${network.parameters.toLocaleString("en")} parameters · ${rows.known.toLocaleString("en")} rows to train on, ${rows.held.toLocaleString("en")} held out`;
  return undefined;
}

function at(plan, layer, made, wide) {
  made.style.left = `${plan.places[layer][0].x + plan.sizes[layer] / 2 - wide / 2}px`;
  made.style.width = `${wide}px`;
  return made;
}

function titled(plan, layer, title, text) {
  return at(plan, layer, el("div", { class: "layer still" }, el("b", {}, title), el("span", {}, text)), 84);
}

function card(plan, layers, layer, i) {
  const set = (changes) => change({ layers: layers.map((other, k) => (k === i ? { ...other, ...changes } : other)) });
  const names = state.hello.choices.activation.map((row) => [row.name, row.name.replaceAll("_", " "), row.doc]);
  if (!names.some(([name]) => name === layer.activation)) names.push([layer.activation, layer.activation, ""]);
  const label = `layer ${i + 1}`;
  const units = numeric("", layer.units, (value) => set({ units: value }), { min: 1, "aria-label": `Units of ${label}` });
  const made = el(
    "div",
    { class: "layer", role: "group", "aria-label": `Settings of ${label}` },
    el("div", { class: "count" },
      el("button", { class: "tiny", "aria-label": `One unit less in ${label}`, disabled: layer.units <= 1, onclick: () => set({ units: layer.units - 1 }) }, "−"),
      units,
      el("button", { class: "tiny", "aria-label": `One unit more in ${label}`, onclick: () => set({ units: layer.units + 1 }) }, "+")),
    choice("", names, layer.activation, (value) => set({ activation: value }), { "aria-label": `Activation of ${label}` }),
    el("div", { class: "count" },
      numeric("drop", layer.dropout, (value) => set({ dropout: value }), { min: 0, max: 0.95, step: 0.05, "aria-label": `Dropout of ${label}`, title: "Share of this layer's values that is dropped while training" }),
      el("button", { class: "tiny remove", "aria-label": `Remove ${label}`, title: `Remove ${label}`, onclick: () => change({ layers: layers.filter((_, k) => k !== i) }) }, "×")),
  );
  return at(plan, i + 1, made, 88);
}

/** A button between two columns that puts a layer there. */
function adder(plan, layers, i) {
  const like = layers[Math.max(0, i - 1)] ?? { units: 4, activation: "tanh", dropout: 0 };
  const added = [...layers.slice(0, i), { ...like }, ...layers.slice(i)];
  const made = el("button", { class: "adder", title: "Add a layer here", "aria-label": `Add a layer ${i === layers.length ? "before the output" : `before layer ${i + 1}`}`, onclick: () => change({ layers: added }) }, "+");
  made.style.left = `${(plan.places[i][0].x + plan.sizes[i] / 2 + plan.places[i + 1][0].x + plan.sizes[i + 1] / 2) / 2 - 10}px`;
  return made;
}
