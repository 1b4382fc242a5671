// A guided walk through one training step: from the row's cells to the new weights.

import { $, el, fill, tell } from "./dom.js";
import { elementOf } from "./mathml.js";
import { rendered } from "./reading.js";
import { emit, light, on, state } from "./state.js";

let wire;
let steps = [];
let at = 0;
let version = -1;

export function begin(connection) {
  wire = connection;
  on("row", () => { steps = []; open(); });
  on("facts", () => { steps = []; open(); });
  on("shown", open);
  on("frame", ({ version: now, running }) => { if (!running && now !== version && !$("panel-walk").hidden) load(at); });
}

function open() {
  if ($("panel-walk").hidden || !state.facts?.network) {
    if (state.walking) leave();
    return;
  }
  if (steps.length) show();
  else load(0);
}

function leave() {
  state.walking = false;
  light([]);
  emit("want flow", false);
}

async function load(place) {
  try {
    const answer = await wire.ask("walk", { row: state.row });
    ({ steps, version } = answer);
    at = Math.min(place, steps.length - 1);
    show();
  } catch (error) {
    fill($("panel-walk"), el("p", { class: "problem" }, error.message));
  }
}

function show() {
  const step = steps[at];
  state.walking = true;
  emit("want flow", step.part === "backward");
  const equations = step.equations.flatMap((equation) => (equation.symbol || equation.html ? rendered(equation) : []));
  const subjects = step.equations.map(({ symbol }) => elementOf(symbol)).filter(Boolean);
  const buttons = el(
    "div",
    { class: "walk-buttons" },
    el("button", { class: "button", id: "walk-back", disabled: at === 0, onclick: () => go(-1) }, "Back"),
    el("button", { class: "button primary", id: "walk-next", disabled: at === steps.length - 1, onclick: () => go(1) }, "Next"),
    el("span", { class: "quiet", id: "walk-place" }, `Step ${at + 1} of ${steps.length}`),
    at === steps.length - 1 ? el("button", { class: "button", id: "walk-step", onclick: train }, "Train one batch") : null,
  );
  fill($("panel-walk"), buttons, dots(), el("h3", { tabindex: "-1", id: "walk-title", "aria-live": "polite" }, step.title), el("p", { class: "lead" }, step.words), equations);
  for (const block of equations) block.addEventListener("pointerleave", () => light(subjects));
  light(subjects);
}

function dots() {
  return el("ol", { class: "dots", "aria-hidden": "true" }, steps.map((step, i) => el("li", { class: `${step.part}${i === at ? " now" : ""}`, title: step.title, onclick: () => { at = i; show(); } })));
}

function go(by) {
  at += by;
  show();
  $(by > 0 && at < steps.length - 1 ? "walk-next" : by < 0 && at > 0 ? "walk-back" : "walk-title").focus();
}

function train() {
  at = 0;
  wire.ask("step", { unit: "batch" }).catch((error) => tell(error.message, true));
}
