// The table: an example, or a file by drag and drop; which column to predict and which to learn from.

import { $, choice, el, fill, numeric, svg, tell } from "./dom.js";
import { change, keepFocus } from "./settings.js";
import { on, state } from "./state.js";

const SHOWN = 60; // columns that are listed
let wire;

export function begin(connection) {
  wire = connection;
  on("facts", show);
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  document.addEventListener("dragenter", () => document.body.classList.add("dragging"));
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dragging");
    if (event.dataTransfer?.files.length) take(event.dataTransfer.files[0]);
  });
}

async function take(file) {
  tell("Reading the table …");
  try {
    await wire.upload(file);
    tell("The table has been read.");
  } catch (error) {
    tell(error.message, true);
  }
}

function ask(what, facts) {
  return wire.ask(what, facts).catch((error) => { tell(error.message, true); show(); });
}

function show() {
  const { source, settings } = state.facts;
  keepFocus($("data-body"), () => fill(
    $("data-body"),
    examples(source.example),
    source.example ? made(source.example) : null,
    drop(),
    target(),
    el("div", { class: "fields" },
      choice("Task", [["auto", "auto", ""], ["classification", "classification", ""], ["regression", "regression", ""]], settings.task, (task) => change({ task })),
      numeric("Held out", settings.held_out, (share) => change({ held_out: share }), { min: 0, max: 0.9, step: 0.05, title: "Share of the rows that is only judged by" })),
    columns(),
  ));
}

// ------------------------------------------------------------------ examples

const ICONS = {
  circles: () => [dot(16, 16, 5, 0), ring(16, 16, 11, 1)],
  spirals: () => [line("M16 16c2-5 9-3 8 3s-10 8-15 3", 0), line("M16 16c-2 5-9 3-8-3s10-8 15-3", 1)],
  moons: () => [line("M5 18a8 8 0 0 1 15-1", 0), line("M12 15a8 8 0 0 0 15 1", 1)],
  xor: () => [dot(10, 10, 4, 0), dot(22, 22, 4, 0), dot(22, 10, 4, 1), dot(10, 22, 4, 1)],
  arms: () => [line("M16 16c0-6 4-9 9-8", 0), line("M16 16c5 3 6 8 2 12", 1), line("M16 16c-6 2-10 0-11-5", 2)],
  plane: () => [line("M5 24L27 8", 0), line("M5 27L27 14", 1)],
  waves: () => [line("M4 16c4-11 8-11 12 0s8 11 12 0", 0)],
  peaks: () => [line("M4 24c5 0 5-16 9-16s3 16 7 16 3-7 8-7", 1)],
  iris: () => [dot(16, 9, 4.5, 2), dot(10, 19, 4.5, 0), dot(22, 19, 4.5, 1)],
  digits: () => [line("M11 9h10l-6 15", 0)],
};
const dot = (cx, cy, r, k) => svg("circle", { cx, cy, r, class: `fill${k}` });
const ring = (cx, cy, r, k) => svg("circle", { cx, cy, r, class: `line${k}` });
const line = (d, k) => svg("path", { d, class: `line${k}` });

function examples(chosen) {
  const buttons = state.hello.examples.map(({ name, title }) => {
    const icon = svg("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" }, ICONS[name]?.() ?? []);
    return el("button", { class: "example", "aria-pressed": String(chosen?.name === name), title, "aria-label": title, onclick: () => ask("example", { example: { ...(chosen ?? {}), name } }) }, icon, el("span", {}, title.split(" (")[0]));
  });
  return el("div", { class: "examples", role: "group", "aria-label": "Examples" }, buttons);
}

function made(example) {
  const known = state.hello.examples.find(({ name }) => name === example.name);
  if (!known?.made) return null;
  const set = (name) => (value) => ask("example", { example: { ...example, [name]: value } });
  return el("div", { class: "fields" }, numeric("Rows", example.rows, set("rows"), { min: 20, max: 20000, step: 10 }), numeric("Noise", example.noise, set("noise"), { min: 0, max: 1, step: 0.05 }), numeric("Draw", example.seed, set("seed"), { min: 0, title: "Seed of the rows" }));
}

// ------------------------------------------------------------------ a file

function drop() {
  const input = el("input", { type: "file", id: "file", accept: ".csv,.tsv,.tab,.txt,.parquet", class: "unseen", onchange: (event) => { if (event.target.files.length) take(event.target.files[0]); } });
  return el("label", { class: "drop", for: "file" }, input, el("b", {}, "Your own table"), el("span", {}, "Drop a CSV or Parquet file, or choose one"));
}

function target() {
  const { source, target: now } = state.facts;
  return choice("Predict the column", source.columns.map(({ name }) => [name, name, ""]), now, (name) => ask("target", { target: name }), { id: "target" });
}

function columns() {
  const { source, target: predicted, settings } = state.facts;
  const dropped = new Set(settings.drop);
  const listed = source.columns.filter(({ name }) => name !== predicted);
  const rows = listed.slice(0, SHOWN).map(({ name, kind, missing, cells }) => {
    const used = el("input", { type: "checkbox", checked: !dropped.has(name), "aria-label": `Learn from ${name}`, onchange: (event) => {
      const drop = event.target.checked ? settings.drop.filter((other) => other !== name) : [...settings.drop, name];
      change({ drop });
    } });
    const kinds = missing ? `${kind}, ${missing} missing` : kind;
    return el("label", { class: "column", title: cells.join(", ") }, used, el("span", { class: "name" }, name), el("span", { class: "quiet" }, kinds));
  });
  const more = listed.length > SHOWN ? el("p", { class: "quiet" }, `and ${listed.length - SHOWN} more`) : null;
  return el("details", { class: "columns", open: listed.length <= 8 }, el("summary", {}, `Learn from ${listed.length} column${listed.length === 1 ? "" : "s"}`), rows, more);
}
