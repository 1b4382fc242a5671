// The network: links as wide as their weights, and inside of every unit what it makes of the plane.

import { $, el, fill, number } from "./dom.js";
import { arrange, crowded, ends, linkAt, trace } from "./geometry.js";
import { classColour, css, palette, signed } from "./palette.js";
import { called, key, on, select, state } from "./state.js";
import { floats } from "./wire.js";

const LEVELS = 8; // widths that links are drawn with
const WIDEST = 6;
const FAINT = 0.04; // of the largest weight; where links crowd, fainter ones are left out
const MARCH = 900; // milliseconds of a dash's way, while derivatives flow back

export const view = { plan: null, tiles: [] };
let hovered = null;
let drawn = null;
let buttons = new Map();
let pending = 0;

export function begin() {
  const canvas = $("network");
  on("facts", lay);
  on("frame", () => { readTiles(); draw(); });
  on("plane", () => { readTiles(); draw(); });
  on("selected", () => { mark(); draw(); });
  for (const kind of ["lit", "pass", "palette", "flow"]) on(kind, draw);
  canvas.addEventListener("pointermove", (event) => hover(linkUnder(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("click", (event) => {
    const link = linkUnder(event);
    if (link) select(link);
  });
  new ResizeObserver(lay).observe($("stage"));
}

function linkUnder(event) {
  if (!view.plan) return null;
  const box = $("network").getBoundingClientRect();
  return linkAt(view.plan, event.clientX - box.left, event.clientY - box.top);
}

function hover(link) {
  if (key(link) === key(hovered)) return;
  hovered = link;
  $("network").style.cursor = link ? "pointer" : "";
  $("hint").textContent = link ? `${called(link)}: ${number(weightOf(link), 4)}` : "";
  draw();
}

// ------------------------------------------------------------------ laying out

/** Find a place for everything, and put buttons over the units. */
function lay() {
  const network = state.facts?.network;
  const canvas = $("network");
  $("stage").hidden = !network;
  if (!network) return;
  const plan = arrange(network, $("stage").clientWidth - 2);
  view.plan = plan;
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.round(plan.width * dense);
  canvas.height = Math.round(plan.height * dense);
  canvas.style.width = `${plan.width}px`;
  canvas.style.height = `${plan.height}px`;
  placeButtons(plan);
  draw();
  document.dispatchEvent(new CustomEvent("laid"));
}

function placeButtons(plan) {
  const made = [];
  buttons = new Map();
  plan.places.forEach((column, layer) => {
    column.forEach((place, unit) => {
      const element = elementAt(layer, unit);
      made.push(button(element, place.x, place.y, plan.sizes[layer]));
    });
  });
  made.push(button({ kind: "loss" }, plan.loss.x, plan.loss.y, plan.loss.size));
  fill($("units"), made);
  mark();
}

/** The element that a tile stands for. */
function elementAt(layer, unit) {
  const last = view.plan.places.length - 1;
  if (layer === 0) return { kind: "input", unit };
  return layer === last ? { kind: "output", unit } : { kind: "unit", layer, unit };
}

function button(element, x, y, size) {
  const made = el("button", {
    class: "unit", "aria-label": called(element), "data-element": key(element), tabindex: "-1",
    onclick: () => select(element), title: called(element),
  });
  Object.assign(made.style, { left: `${x}px`, top: `${y}px`, width: `${size}px`, height: `${size}px` });
  buttons.set(key(element), made);
  return made;
}

function mark() {
  const chosen = key(state.selected);
  const known = buttons.has(chosen);
  let first = true;
  for (const [name, made] of buttons) {
    made.setAttribute("aria-pressed", String(name === chosen));
    made.tabIndex = name === chosen || (!known && first) ? 0 : -1;
    first = false;
  }
}

/** Move from unit to unit with the arrow keys. */
export function step(across, down) {
  const plan = view.plan;
  const columns = [...plan.places.map((column, layer) => column.map((_, unit) => elementAt(layer, unit))), [{ kind: "loss" }]];
  const at = document.activeElement?.getAttribute("data-element");
  let c = columns.findIndex((column) => column.some((element) => key(element) === at));
  let r = c < 0 ? 0 : columns[c].findIndex((element) => key(element) === at);
  c = Math.max(0, Math.min(columns.length - 1, Math.max(c, 0) + across));
  r = Math.max(0, Math.min(columns[c].length - 1, r + down));
  const made = buttons.get(key(columns[c][r]));
  for (const other of buttons.values()) other.tabIndex = -1;
  made.tabIndex = 0;
  made.focus();
}

// ------------------------------------------------------------------ surfaces of units

function readTiles() {
  const { frame, plane, facts } = state;
  if (!frame || !plane || !view.plan || !facts.network) return;
  const layers = view.plan.counts.length;
  view.tiles = view.plan.counts.map((count, layer) => {
    if (layer === 0) return atlas(plane.blobs.inputs, count, plane.grid, 0);
    if (layer < layers - 1) return atlas(frame.blobs[`tiles${layer - 1}`], count, frame.grid, layer);
    return atlas(frame.blobs.output, count, frame.fine, layer);
  });
}

const atlases = [];

/** All tiles of a layer, one below the other, on a canvas of their own. */
function atlas(bytes, count, grid, layer) {
  if (!bytes || bytes.length < count * grid * grid) return null;
  const { canvas, context, image, pixels } = sheet(layer, grid, count);
  const { table } = palette;
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[bytes[i]];
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A canvas of the right size for a layer, kept from picture to picture. */
function sheet(layer, grid, count) {
  const kept = atlases[layer];
  if (kept?.canvas.width === grid && kept.canvas.height === grid * count) return kept;
  const canvas = el("canvas", { width: grid, height: grid * count });
  const context = canvas.getContext("2d");
  const image = context.createImageData(grid, grid * count);
  atlases[layer] = { canvas, context, image, pixels: new Uint32Array(image.data.buffer) };
  return atlases[layer];
}

// ------------------------------------------------------------------ drawing

/** Draw soon, once. */
export function draw() {
  if (pending) return;
  pending = requestAnimationFrame((now) => {
    pending = 0;
    paint(now);
    if (flowing()) draw();
  });
}

function flowing() {
  return state.backward && state.pass?.known && !matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function paint(now) {
  const { plan } = view;
  if (!plan || !state.frame || !state.facts?.network) return;
  if (state.frame !== drawn) state.pictures += 1;
  drawn = state.frame;
  const canvas = $("network");
  const context = canvas.getContext("2d");
  const dense = canvas.width / plan.width;
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.clearRect(0, 0, plan.width, plan.height);
  for (let layer = 1; layer < plan.places.length; layer++) links(context, plan, layer, now);
  lossLinks(context, plan);
  highlights(context, plan);
  tiles(context, plan);
  texts(context, plan);
}

/** Weights of a layer's drawn links, or their derivatives. */
export function weightsOf(layer) {
  const shown = state.backward && state.pass?.known ? state.pass.blobs[`dW${layer - 1}`] : state.frame.blobs[`W${layer - 1}`];
  return floats(shown);
}

function weightOf({ layer, from, to }) {
  return weightsOf(layer)[from * view.plan.counts[layer] + to];
}

function links(context, plan, layer, now) {
  const values = weightsOf(layer);
  const count = plan.counts[layer];
  if (values.length < plan.counts[layer - 1] * count) return;
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  const straight = crowded(plan, layer);
  const levels = new Map();
  for (let i = 0; i < plan.counts[layer - 1] * count; i++) {
    if (straight && Math.abs(values[i]) < FAINT * most) continue;
    const level = Math.ceil((LEVELS * Math.abs(values[i])) / (most || 1));
    const name = (values[i] < 0 ? -1 : 1) * Math.max(1, level);
    if (!levels.has(name)) levels.set(name, []);
    levels.get(name).push(i);
  }
  const thin = straight ? 0.5 : 1;
  for (const [name, places] of [...levels].sort((a, b) => Math.abs(a[0]) - Math.abs(b[0]))) {
    const part = Math.abs(name) / LEVELS;
    context.strokeStyle = css(name < 0 ? palette.minus : palette.plus, 0.12 + 0.75 * part);
    context.lineWidth = 0.4 + WIDEST * thin * part ** 1.3;
    context.setLineDash(flowing() ? [7, 6] : palette.dashed && name < 0 ? [5, 4] : []);
    context.lineDashOffset = flowing() ? (13 * (now % MARCH)) / MARCH : 0; // dashes run back
    for (const i of places) { // one by one: a path of many crossing lines is slow to fill
      context.beginPath();
      trace(context, ends(plan, layer, Math.floor(i / count), i % count), straight);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

function lossLinks(context, plan) {
  const column = plan.places.at(-1);
  const size = plan.sizes.at(-1);
  const path = new Path2D();
  const half = plan.loss.size / 2;
  for (const place of column) trace(path, [place.x + size, place.y + size / 2, plan.loss.x, plan.loss.y + half], false);
  context.strokeStyle = palette.line;
  context.lineWidth = 1.5;
  context.stroke(path);
}

function highlights(context, plan) {
  const chosen = state.selected?.kind === "link" ? [state.selected] : [];
  for (const link of [...state.lit.filter((e) => e.kind === "link"), ...chosen, ...(hovered ? [hovered] : [])]) {
    if (!plan.places[link.layer]?.[link.to] || !plan.places[link.layer - 1]?.[link.from]) continue;
    const path = new Path2D();
    trace(path, ends(plan, link.layer, link.from, link.to), crowded(plan, link.layer));
    context.strokeStyle = palette.card;
    context.lineWidth = 8;
    context.stroke(path);
    context.strokeStyle = palette.ink;
    context.lineWidth = 5;
    context.stroke(path);
    context.strokeStyle = signed(weightOf(link) ?? 0);
    context.lineWidth = 3;
    context.stroke(path);
  }
}

function tiles(context, plan) {
  const last = plan.places.length - 1;
  const lit = new Set([...state.lit, state.selected].filter(Boolean).map(key));
  const classes = state.facts.network.task === "classification" ? state.facts.network.labels.length : 0;
  context.imageSmoothingEnabled = true;
  plan.places.forEach((column, layer) => {
    const atlas = view.tiles[layer];
    const size = plan.sizes[layer];
    column.forEach(({ x, y }, unit) => {
      context.fillStyle = palette.card;
      context.fillRect(x - 2, y - 2, size + 4, size + 4);
      if (atlas) context.drawImage(atlas, 0, unit * atlas.width, atlas.width, atlas.width, x, y, size, size);
      const glows = lit.has(key(elementAt(layer, unit)));
      context.lineWidth = glows ? 3 : 1.25;
      context.strokeStyle = glows ? palette.ink : layer === last && classes > 2 ? classColour(unit, classes) : palette.line;
      context.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
    });
  });
  lossBox(context, plan, lit.has("loss  "));
}

function lossBox(context, { loss }, glows) {
  context.beginPath();
  context.arc(loss.x + loss.size / 2, loss.y + loss.size / 2, loss.size / 2, 0, 2 * Math.PI);
  context.fillStyle = palette.card;
  context.fill();
  context.lineWidth = glows ? 3 : 1.5;
  context.strokeStyle = glows ? palette.ink : palette.soft;
  context.stroke();
  context.fillStyle = palette.ink;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = "italic 17px Georgia, 'Times New Roman', serif";
  context.fillText("L", loss.x + loss.size / 2, loss.y + loss.size / 2 - 6);
  context.font = "10px system-ui, sans-serif";
  const latest = state.points.at(-1);
  context.fillText(number(latest?.[1], 2), loss.x + loss.size / 2, loss.y + loss.size / 2 + 9);
}

function texts(context, plan) {
  const { network } = state.facts;
  const last = plan.places.length - 1;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = palette.ink;
  context.textAlign = "right";
  plan.places[0].forEach(({ x, y }, i) => context.fillText(short(context, network.features[i], x - 12), x - 8, y + plan.sizes[0] / 2));
  outputNames(context, plan, plan.places[last]);
  plan.places.forEach((column, layer) => {
    if (!plan.hidden[layer]) return;
    const { x, y } = column[column.length - 1];
    context.textAlign = "center";
    context.fillStyle = palette.soft;
    context.fillText(`+ ${plan.hidden[layer].toLocaleString("en")} more`, x + plan.sizes[layer] / 2, y + plan.sizes[layer] + 13);
  });
  values(context, plan, last);
}

/** What each output stands for, on its link to the loss. */
function outputNames(context, plan, column) {
  const { labels, task } = state.facts.network;
  const size = plan.sizes.at(-1);
  context.textAlign = "left";
  column.forEach(({ x, y }, unit) => {
    const name = task === "regression" ? state.facts.target : labels[labels.length === 2 ? 1 : unit];
    const text = short(context, name ?? "", 64);
    context.fillStyle = palette.card;
    context.fillRect(x + size + 5, y + size / 2 - 8, context.measureText(text).width + 6, 16);
    context.fillStyle = palette.ink;
    context.fillText(text, x + size + 8, y + size / 2);
  });
}

/** The chosen row's numbers below the units, where there is room. */
function values(context, plan, last) {
  if (!state.pass) return;
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillStyle = palette.soft;
  const { x, a, dz, predicted, known } = state.pass;
  plan.places.forEach((column, layer) => {
    const forward = layer === 0 ? x : layer === last ? predicted : a[layer - 1];
    const shown = state.backward && known && layer > 0 ? dz[layer - 1] : forward;
    if (plan.gaps[layer] < 13) return;
    const size = plan.sizes[layer];
    column.forEach((place, unit) => context.fillText(number(shown?.[unit], 3), place.x + size / 2, place.y + size + 9));
  });
}

/** A name as long as there is room for it. */
function short(context, name, room) {
  if (context.measureText(name).width <= room) return name;
  let text = name;
  while (text.length > 1 && context.measureText(`${text}…`).width > room) text = text.slice(0, -1);
  return `${text}…`;
}
