// The beginning of the page: connects everything, and the buttons and keys of training.

import * as curves from "./curves.js";
import * as data from "./data.js";
import { $, calm, el, fill, number, tell } from "./dom.js";
import * as judge from "./judge.js";
import * as network from "./network.js";
import * as output from "./output.js";
import { choosePalette, names, palette } from "./palette.js";
import * as reading from "./reading.js";
import * as settings from "./settings.js";
import { emit, on, select, state } from "./state.js";
import * as takeaway from "./takeaway.js";
import * as walk from "./walk.js";
import { Wire } from "./wire.js";

const START = "M7 4.5v15l13-7.5z";
const PAUSE = "M6 4.5h4.5v15H6zM13.5 4.5H18v15h-4.5z";
const TABS = ["equations", "walk", "judge", "diagnosis"];

const wire = new Wire({
  hello(message) {
    state.hello = message;
    state.online = true;
    $("banner").hidden = true;
    if (location.hash.length > 1 && !state.restored) {
      state.restored = true;
      takeaway.restore(location.hash);
    }
  },
  state(message) {
    const other = state.facts && state.facts.target !== message.target;
    state.facts = message;
    state.plane = null;
    if (other || state.row >= (message.network?.rows.all ?? 0)) state.row = 0;
    problem(message.problem);
    $("row").max = String((message.network?.rows.all ?? 1) - 1);
    $("row").value = String(state.row);
    state.pass = null;
    emit("facts", message);
  },
  plane(message) {
    state.plane = message;
    emit("plane", message);
    look();
  },
  frame(message) {
    const first = state.frame?.shape !== message.shape;
    const moved = state.frame?.version !== message.version;
    state.frame = message;
    curves.add(message.points, message.reset);
    emit("frame", message);
    progress(message);
    if (first) output.legend();
    if (moved) look();
    requestAnimationFrame(() => wire.seen());
  },
  full(message) { banner(message.error); wire.wait = 5000; },
  offline() { state.online = false; banner("The connection is lost; trying again …"); },
});

function banner(text) {
  $("banner").textContent = text;
  $("banner").hidden = false;
}

function problem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text ?? "";
}

// ------------------------------------------------------------------ training

function progress({ epoch, batch, batches, running, status }) {
  $("epoch").textContent = epoch.toLocaleString("en");
  $("batch").textContent = `${batch} / ${batches}`;
  $("loss").textContent = number(state.points.at(-1)?.[1], 4);
  if (running !== state.running) {
    state.running = running;
    $("start-icon").setAttribute("d", running ? PAUSE : START);
    $("start").setAttribute("aria-label", running ? "Pause training" : "Start training");
    $("start").classList.toggle("running", running);
    if (!running && status) tell(status);
  }
}

const ask = (what, facts) => wire.ask(what, facts).catch((error) => tell(error.message, true));
const toggle = () => ask(state.running ? "pause" : "start", { speed: $("speed").value });

function buttons() {
  $("start").addEventListener("click", toggle);
  $("rewind").addEventListener("click", () => ask("rewind"));
  $("step-batch").addEventListener("click", () => ask("step", { unit: "batch" }));
  $("step-epoch").addEventListener("click", () => ask("step", { unit: "epoch" }));
  $("speed").addEventListener("change", () => { if (state.running) ask("start", { speed: $("speed").value }); });
  $("flow").addEventListener("click", () => flow(!state.backward));
  on("want flow", flow);
}

function flow(wanted) {
  state.backward = wanted;
  $("flow").setAttribute("aria-pressed", String(wanted));
  emit("flow");
}

// ------------------------------------------------------------------ the chosen row

const look = calm(200, async () => {
  if (!state.facts?.network || !state.frame) return;
  try {
    state.pass = await wire.ask("pass", { row: state.row });
    reading.cells();
    emit("pass", state.pass);
  } catch { /* the table has changed since; the next picture asks again */ }
});

function chooseRow(row) {
  state.row = Math.max(0, Math.min(row, state.facts.network.rows.all - 1));
  $("row").value = String(state.row);
  emit("row", state.row);
  look();
}

// ------------------------------------------------------------------ tabs

function showTab(name, focus = false) {
  for (const other of TABS) {
    const chosen = other === name;
    $(`tab-${other}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${other}`).tabIndex = chosen ? 0 : -1;
    $(`panel-${other}`).hidden = !chosen;
  }
  if (focus) $(`tab-${name}`).focus();
  emit("shown", name);
}

function tabs() {
  for (const name of TABS) {
    $(`tab-${name}`).addEventListener("click", () => showTab(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) showTab(TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length], true);
    });
  }
  on("show", (name) => { if ($(`panel-${name}`).hidden) showTab(name); });
}

// ------------------------------------------------------------------ colours and keys

function dress(name, dark) {
  choosePalette(name, dark);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const root = document.documentElement.style;
  root.setProperty("--minus", `rgb(${palette.minus.join(" ")})`);
  root.setProperty("--plus", `rgb(${palette.plus.join(" ")})`);
  emit("palette");
  if (state.frame) {
    emit("frame", state.frame);
    output.legend();
  }
}

function colours() {
  const stored = localStorage.getItem("chainrule-theme");
  const wants = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (localStorage.getItem("chainrule-theme") ?? (wants.matches ? "dark" : "light")) === "dark";
  fill($("palette"), names.map((name) => el("option", { value: name }, name)));
  $("palette").value = localStorage.getItem("chainrule-palette") ?? names[0];
  dress($("palette").value, stored ? stored === "dark" : wants.matches);
  wants.addEventListener("change", () => dress($("palette").value, dark()));
  $("palette").addEventListener("change", () => {
    localStorage.setItem("chainrule-palette", $("palette").value);
    dress($("palette").value, palette.dark);
  });
  $("theme").addEventListener("click", () => {
    localStorage.setItem("chainrule-theme", palette.dark ? "light" : "dark");
    dress($("palette").value, !palette.dark);
  });
}

const KEYS = {
  " ": toggle,
  b: () => ask("step", { unit: "batch" }),
  e: () => ask("step", { unit: "epoch" }),
  r: () => ask("rewind"),
  g: () => flow(!state.backward),
  d: () => $("theme").click(),
  n: () => network.step(0, 0),
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keys(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea")) return;
  if (target.closest("#units") && ARROWS[event.key]) {
    event.preventDefault();
    network.step(...ARROWS[event.key]);
    return;
  }
  if (event.key === "Escape") select(null);
  if (event.key === " " && target.closest("button, summary, a")) return; // the key of that element
  const act = KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
}

colours();
buttons();
tabs();
for (const part of [network, curves]) part.begin();
for (const part of [output, reading, walk, judge, settings, data, takeaway]) part.begin(wire);
on("choose row", chooseRow);
on("facts", output.legend);
$("row").addEventListener("change", () => chooseRow(Math.round(Number($("row").value)) || 0));
document.addEventListener("keydown", keys);
wire.open();
