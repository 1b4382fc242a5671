// Loss and metric while training goes on: training rows solid, rows held out dashed.

import { $, calm, number } from "./dom.js";
import { palette } from "./palette.js";
import { on, state } from "./state.js";

const MOST = 6000; // points that are kept
let pending = 0;

export function begin() {
  on("frame", calm(120, draw)); // a curve grows slowly
  on("palette", draw);
  for (const id of ["loss-curve", "metric-curve"]) new ResizeObserver(draw).observe($(id).parentElement);
}

/** Take further points of the curve. */
export function add(points, reset) {
  if (reset) state.points = [];
  for (const point of points) {
    if (state.points.length && state.points.at(-1)[0] >= point[0]) state.points.pop();
    state.points.push(point);
  }
  if (state.points.length > MOST) state.points = state.points.filter((_, i) => i % 2 === 0 || i === state.points.length - 1);
}

export function draw() {
  if (pending) return;
  pending = requestAnimationFrame(() => {
    pending = 0;
    if (!state.facts?.network) return;
    paint($("loss-curve"), 1, 2, true);
    paint($("metric-curve"), 3, 4, false);
    words();
  });
}

function words() {
  const latest = state.points.at(-1);
  if (!latest) return;
  const { metric } = state.facts.network;
  $("loss-now").textContent = `${number(latest[1], 3)} training, ${number(latest[2], 3)} held out`;
  $("metric-name").textContent = metric === "R²" ? "R²" : "Accuracy";
  $("metric-now").textContent = `${share(latest[3], metric)} training, ${share(latest[4], metric)} held out`;
}

function share(value, metric) {
  if (value === null || !Number.isFinite(value)) return "–";
  return metric === "R²" ? number(value, 3) : `${(100 * value).toFixed(1)} %`;
}

function paint(canvas, first, second, logarithmic) {
  const width = canvas.parentElement.clientWidth;
  const height = 110;
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * dense)) {
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.clearRect(0, 0, width, height);
  const { points } = state;
  const scale = ranges(points, first, second, logarithmic);
  const room = { left: 50, top: 6, w: width - 58, h: height - 26 };
  frame(context, room, scale, points.at(-1)?.[0] ?? 0);
  line(context, room, scale, points, first, palette.ink, []);
  line(context, room, scale, points, second, palette.soft, [5, 3]);
}

/** The scale of a curve: of losses that span much, a logarithmic one. */
function ranges(points, first, second, logarithmic) {
  const values = points.flatMap((p) => [p[first], p[second]]).filter((v) => v !== null && Number.isFinite(v));
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  const log = logarithmic && low > 0 && high / low > 50;
  if (!logarithmic) [low, high] = [Math.max(low, -0.5), 1];
  else if (!log) low = Math.min(0, low);
  if (high <= low) high = low + 1;
  const to = log ? Math.log : (v) => v;
  return { low, high, log, at: (v) => (to(Math.max(v, low)) - to(low)) / (to(high) - to(low)) };
}

function frame(context, room, scale, last) {
  context.strokeStyle = palette.line;
  context.fillStyle = palette.soft;
  context.lineWidth = 1;
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(room.top + (1 - part) * room.h) + 0.5;
    context.beginPath();
    context.moveTo(room.left, y);
    context.lineTo(room.left + room.w, y);
    context.stroke();
    const value = scale.log ? Math.exp(Math.log(scale.low) + part * Math.log(scale.high / scale.low)) : scale.low + part * (scale.high - scale.low);
    context.fillText(number(value, 2), room.left - 5, y);
  }
  context.textBaseline = "top";
  context.fillText(`epoch ${number(last, 4)}`, room.left + room.w, room.top + room.h + 5);
  context.textAlign = "left";
  context.fillText("0", room.left, room.top + room.h + 5);
}

function line(context, room, scale, points, which, colour, dash) {
  const last = points.at(-1)?.[0] || 1;
  context.beginPath();
  let open = false;
  for (const point of points) {
    const value = point[which];
    if (value === null || !Number.isFinite(value)) { open = false; continue; }
    const x = room.left + (point[0] / last) * room.w;
    const y = room.top + (1 - Math.min(1, Math.max(0, scale.at(value)))) * room.h;
    if (open) context.lineTo(x, y);
    else context.moveTo(x, y);
    open = true;
  }
  context.strokeStyle = colour;
  context.lineWidth = 1.6;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}
