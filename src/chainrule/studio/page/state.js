// What the page knows, and who wants to hear of a change.

export const state = {
  hello: null, // what can be chosen
  facts: null, // table, settings and network of the session
  plane: null, // axes and rows
  frame: null, // the latest picture of the network
  points: [], // the curve
  pass: null, // the engine's numbers of the chosen row
  row: 0,
  selected: null, // an element of the network: {kind, layer, unit, from, to}
  lit: [], // elements that a factor of an equation comes from
  backward: false, // links show derivatives in place of weights
  online: false,
  pictures: 0, // of the network that have been drawn
};

const listeners = new Map();

/** Hear of a kind of change. */
export function on(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, []);
  listeners.get(kind).push(listener);
}

/** Tell of a change. */
export function emit(kind, value) {
  for (const listener of listeners.get(kind) ?? []) listener(value);
}

/** Choose an element of the network. */
export function select(element) {
  state.selected = element;
  state.lit = [];
  emit("selected", element);
}

/** Light what a factor comes from; without elements, nothing is lit. */
export function light(elements) {
  state.lit = elements;
  emit("lit", elements);
}

/** A name for an element by which two can be compared. */
export function key(element) {
  if (!element) return "";
  const { kind, layer, unit, from, to } = element;
  return kind === "link" ? `link ${layer} ${from} ${to}` : `${kind} ${layer ?? ""} ${unit ?? ""}`;
}

/** What an element is called. */
export function called(element) {
  const network = state.facts?.network;
  if (!element || !network) return "";
  const { kind, layer, unit, from, to } = element;
  if (kind === "loss") return "The loss";
  if (kind === "input") return `Input ${unit}: ${network.features[unit] ?? ""}`;
  if (kind === "output") return `Output ${unit}: ${outputName(unit)}`;
  if (kind === "link") return `Weight from ${layer === 1 ? "input" : `layer ${layer - 1}, unit`} ${from} to layer ${layer}, unit ${to}`;
  return `Layer ${layer}, unit ${unit}: ${network.activations[layer - 1]}`;
}

/** What an output stands for. */
export function outputName(unit) {
  const { labels, task } = state.facts.network;
  if (task === "regression") return state.facts.target;
  return labels.length === 2 ? `probability of ${labels[1]}` : `probability of ${labels[unit]}`;
}
