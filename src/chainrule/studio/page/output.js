// The decision surface: what the network predicts over the plane, with the rows on it.

import { $, choice, el, fill, number, tell } from "./dom.js";
import { classColour, classParts, css, mixed, palette } from "./palette.js";
import { emit, on, outputName, state } from "./state.js";
import { floats, wholes } from "./wire.js";

const MARGIN = { left: 40, right: 8, top: 8, bottom: 34 };
const REACH = 14; // pixels within which a row is chosen

let wire;
let picture = null;
let marks = null; // the rows, drawn once
let pending = 0;

export function begin(connection) {
  wire = connection;
  const canvas = $("output");
  on("facts", () => { chooser(); draw(); });
  on("frame", () => { colour(); draw(); });
  for (const kind of ["plane", "row", "palette"]) on(kind, () => { marks = null; draw(); });
  canvas.addEventListener("click", (event) => {
    const found = rowAt(event);
    if (found !== null) emit("choose row", found);
  });
  canvas.addEventListener("pointermove", (event) => { canvas.style.cursor = rowAt(event) === null ? "" : "pointer"; });
  new ResizeObserver(draw).observe(canvas.parentElement);
}

// ------------------------------------------------------------------ which plane

function chooser() {
  const network = state.facts?.network;
  if (!network) return fill($("axes"));
  const { view } = state.facts;
  const features = network.features.map((name, i) => [String(i), name, ""]);
  const ask = (next) => wire.ask("view", { view: next }).catch((error) => tell(error.message, true));
  const now = { kind: "features", x: view.x ?? 0, y: view.y ?? Math.min(1, features.length - 1) };
  const kinds = [["features", "two features", ""], ["components", "principal components", ""]];
  const parts = [choice("Plane shown", kinds, view.kind ?? "features", (kind) => ask(kind === "components" ? { kind } : { ...now, kind }))];
  if (view.kind !== "components") {
    parts.push(choice("across", features, String(now.x), (x) => ask({ ...now, x: Number(x) })));
    parts.push(choice("up", features, String(now.y), (y) => ask({ ...now, y: Number(y) })));
  }
  fill($("axes"), network.features.length > 1 ? parts : []);
}

// ------------------------------------------------------------------ colours

function colour() {
  const { frame, facts } = state;
  const network = facts?.network;
  if (!frame || !network) return;
  const { fine: grid } = frame;
  const bytes = frame.blobs.output;
  picture ??= document.createElement("canvas");
  picture.width = picture.height = grid;
  const context = picture.getContext("2d");
  const image = context.createImageData(grid, grid);
  const count = bytes.length / (grid * grid);
  if (count > 1) blend(image.data, bytes, count, grid * grid, network.labels.length);
  else {
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = palette.pale[bytes[i]];
  }
  context.putImageData(image, 0, 0);
}

/** The colour of the most probable class, the stronger the more probable it is. */
function blend(pixels, bytes, count, area, classes) {
  const parts = Array.from({ length: count }, (_, k) => classParts(k, classes));
  for (let i = 0; i < area; i++) {
    let best = 0;
    for (let k = 1; k < count; k++) if (bytes[k * area + i] > bytes[best * area + i]) best = k;
    const strength = 0.12 + (0.5 * (bytes[best * area + i] / 255 - 1 / count)) / (1 - 1 / count);
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = palette.zero[c] + (parts[best][c] - palette.zero[c]) * strength;
    pixels[4 * i + 3] = 255;
  }
}

/** The colour of a row's target. */
function targetColour(target) {
  const { network } = state.facts;
  if (network.task === "classification") return classColour(target, network.labels.length);
  const { low, high } = state.frame;
  return css(mixed((2 * (target - low)) / (high - low) - 1));
}

// ------------------------------------------------------------------ drawing

export function draw() {
  if (pending) return;
  pending = requestAnimationFrame(() => { pending = 0; paint(); });
}

function box(canvas) {
  const width = canvas.parentElement.clientWidth;
  const side = Math.max(120, Math.min(width, 420));
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(side * dense)) {
    canvas.width = canvas.height = Math.round(side * dense);
    canvas.style.width = canvas.style.height = `${side}px`;
    marks = null;
  }
  return { dense, side, left: MARGIN.left, top: MARGIN.top, w: side - MARGIN.left - MARGIN.right, h: side - MARGIN.top - MARGIN.bottom };
}

/** From the plane to the canvas. */
function projector(room) {
  const [x, y] = state.plane.axes;
  return (u, v) => [room.left + ((u - x.low) / (x.high - x.low)) * room.w, room.top + ((y.high - v) / (y.high - y.low)) * room.h];
}

function paint() {
  const { frame, plane, facts } = state;
  const canvas = $("output");
  if (!frame || !plane || !facts?.network) return;
  if (!picture) colour();
  const room = box(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(room.dense, 0, 0, room.dense, 0, 0);
  context.clearRect(0, 0, room.side, room.side);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, room.left, room.top, room.w, room.h);
  context.strokeStyle = palette.line;
  context.strokeRect(room.left, room.top, room.w, room.h);
  if (!marks) {
    marks = document.createElement("canvas");
    marks.width = marks.height = canvas.width;
    const own = marks.getContext("2d");
    own.scale(room.dense, room.dense);
    rows(own, room);
    axes(own, room);
  }
  context.drawImage(marks, 0, 0, room.side, room.side);
}

function rows(context, room) {
  const { plane } = state;
  const places = floats(plane.blobs.places);
  const targets = floats(plane.blobs.targets);
  const held = plane.blobs.held;
  const numbers = wholes(plane.blobs.rows);
  const at = projector(room);
  const size = plane.count > 600 ? 2.4 : 3.6;
  for (let i = 0; i < plane.count; i++) {
    const [x, y] = at(places[2 * i], places[2 * i + 1]);
    context.beginPath();
    if (held[i]) context.rect(x - size, y - size, 2 * size, 2 * size);
    else context.arc(x, y, size, 0, 2 * Math.PI);
    context.fillStyle = targetColour(targets[i]);
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = held[i] ? palette.ink : palette.rim;
    context.stroke();
    if (numbers[i] === state.row) ring(context, x, y);
  }
}

function ring(context, x, y) {
  context.lineWidth = 4;
  context.strokeStyle = palette.card;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = palette.ink;
  context.stroke();
}

function axes(context, room) {
  const [x, y] = state.plane.axes;
  context.fillStyle = palette.soft;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  const unit = (axis, place) => number(place * axis.scale + axis.centre, 3);
  const bottom = room.top + room.h;
  context.textAlign = "left";
  context.fillText(unit(x, x.low), room.left, bottom + 5);
  context.textAlign = "right";
  context.fillText(unit(x, x.high), room.left + room.w, bottom + 4);
  context.textAlign = "center";
  context.fillText(x.name.slice(0, 40), room.left + room.w / 2, bottom + 18);
  context.textAlign = "right";
  context.fillText(unit(y, y.high), room.left - 4, room.top);
  context.textBaseline = "bottom";
  context.fillText(unit(y, y.low), room.left - 4, bottom);
  context.save();
  context.translate(12, room.top + room.h / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.textBaseline = "middle";
  if (y.name !== x.name) context.fillText(y.name.slice(0, 40), 0, 0);
  context.restore();
}

function rowAt(event) {
  const { plane } = state;
  if (!plane || !state.frame) return null;
  const canvas = $("output");
  const edge = canvas.getBoundingClientRect();
  const [px, py] = [event.clientX - edge.left, event.clientY - edge.top];
  const at = projector(box(canvas));
  const places = floats(plane.blobs.places);
  let best = null;
  let nearest = REACH ** 2;
  for (let i = 0; i < plane.count; i++) {
    const [x, y] = at(places[2 * i], places[2 * i + 1]);
    const distance = (x - px) ** 2 + (y - py) ** 2;
    if (distance < nearest) [nearest, best] = [distance, i];
  }
  return best === null ? null : wholes(plane.blobs.rows)[best];
}

// ------------------------------------------------------------------ the legend

/** What colours and marks mean. */
export function legend() {
  const network = state.facts?.network;
  if (!network || !state.frame) return fill($("legend"));
  const swatch = (colour, text) => {
    const box = el("i", { class: "swatch" });
    box.style.background = colour;
    return el("span", { class: "key" }, box, text);
  };
  const marks = [el("span", { class: "key" }, el("i", { class: "dot" }), "training"), el("span", { class: "key" }, el("i", { class: "square" }), "held out")];
  if (network.task === "classification") {
    const shown = network.labels.slice(0, 10).map((label, k) => swatch(classColour(k, network.labels.length), label));
    return fill($("legend"), shown, marks);
  }
  const { centre, scale } = network.unit;
  const text = (value) => number(value * scale + centre, 3);
  const bar = el("i", { class: "bar" });
  bar.style.background = `linear-gradient(90deg, ${[-1, -0.5, 0, 0.5, 1].map((v) => css(mixed(v))).join(",")})`;
  return fill($("legend"), el("span", { class: "key" }, text(state.frame.low), bar, text(state.frame.high), ` ${outputName(0)}`), marks);
}
