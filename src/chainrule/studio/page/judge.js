// How good the network is on rows that it has not seen, and what its training suffers from.

import { $, calm, el, fill, number, svg } from "./dom.js";
import { on, state } from "./state.js";

const SIZE = { width: 330, height: 230, left: 44, bottom: 34, top: 10, right: 10 };
let wire;
let version = -1;

export function begin(connection) {
  wire = connection;
  on("frame", refresh);
  on("shown", () => { version = -1; refresh(); });
  on("facts", () => { version = -1; refresh(); });
}

const refresh = calm(900, async () => {
  const judged = !$("panel-judge").hidden;
  const diagnosed = !$("panel-diagnosis").hidden;
  if (!state.facts?.network || !state.frame || version === state.frame.version || !(judged || diagnosed)) return;
  ({ version } = state.frame);
  const panel = $(judged ? "panel-judge" : "panel-diagnosis");
  try {
    const answer = await wire.ask(judged ? "judge" : "diagnose");
    if (judged) judgement(panel, answer.judgement);
    else diagnosis(panel, answer.diagnosis);
  } catch (error) {
    fill(panel, el("p", { class: "problem" }, error.message));
  }
});

function judgement(panel, facts) {
  const rows = `${facts.rows.toLocaleString("en")} rows ${facts.held ? "held out" : "that were trained on (none are held out)"}`;
  if (facts.kind === "residuals") {
    return fill(panel, el("h3", {}, `Residuals of ${rows}`), el("p", { class: "quiet" }, `Root mean squared error ${number(facts.rmse, 4)}. The line is the mean of neighbours: far from 0 it shows what is not learnt.`), residuals(facts));
  }
  return fill(panel, el("h3", {}, `${(100 * facts.accuracy).toFixed(1)} % of ${rows} are right`), el("div", { class: "pair" }, confusion(facts), calibration(facts)));
}

// ------------------------------------------------------------------ confusion

function confusion({ labels, confusion: table }) {
  const head = el("tr", {}, el("td", {}), labels.map((label) => el("th", { scope: "col" }, label)));
  const body = table.map((row, i) => {
    const whole = row.reduce((sum, count) => sum + count, 0) || 1;
    const cells = row.map((count, j) => {
      const cell = el("td", { class: i === j ? "right" : "" }, String(count));
      cell.style.setProperty("--share", String(count / whole));
      if (count / whole > 0.55) cell.classList.add("deep");
      return cell;
    });
    return el("tr", {}, el("th", { scope: "row" }, labels[i]), cells);
  });
  const caption = el("caption", {}, "Rows: the true class. Columns: the predicted one.");
  return el("figure", { class: "scroll" }, el("table", { class: "confusion" }, caption, head, body));
}

// ------------------------------------------------------------------ plots

function axis(label, low, high, vertical) {
  const { width, height, left, bottom, top, right } = SIZE;
  const texts = vertical
    ? [[left - 5, height - bottom, low, "end"], [left - 5, top + 8, high, "end"]]
    : [[left, height - bottom + 14, low, "start"], [width - right, height - bottom + 14, high, "end"]];
  const made = texts.map(([x, y, text, anchor]) => svg("text", { x, y, "text-anchor": anchor, class: "tick" }, text));
  const title = vertical
    ? svg("text", { x: -(height - bottom + top) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle", class: "tick" }, label)
    : svg("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle", class: "tick" }, label);
  return [...made, title];
}

function plot(label, parts) {
  const { width, height, left, bottom, top, right } = SIZE;
  const frame = svg("rect", { x: left, y: top, width: width - left - right, height: height - top - bottom, class: "frame" });
  return el("figure", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot-svg", role: "img", "aria-label": label }, frame, parts));
}

function scales(lowX, highX, lowY, highY) {
  const { width, height, left, bottom, top, right } = SIZE;
  return [
    (v) => left + ((v - lowX) / (highX - lowX || 1)) * (width - left - right),
    (v) => height - bottom - ((v - lowY) / (highY - lowY || 1)) * (height - top - bottom),
  ];
}

function calibration({ calibration: [mean, share, count, low, high], of: what }) {
  const [x, y] = scales(0, 1, 0, 1);
  const points = mean.map((m, i) => `${x(m)},${y(share[i])}`).join(" ");
  const bars = mean.map((m, i) => svg("line", { x1: x(m), x2: x(m), y1: y(low[i]), y2: y(high[i]), class: "interval" }));
  const dots = mean.map((m, i) => svg("circle", { cx: x(m), cy: y(share[i]), r: 3.2, class: "point" }, svg("title", {}, `${count[i]} rows`)));
  const parts = [
    svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "ideal" }), bars, svg("polyline", { points, class: "curve" }), dots,
    axis(`predicted ${what}`, "0", "1", false), axis("comes true", "0", "1", true),
  ];
  return plot("Calibration: how often what is predicted with a probability comes true", parts.flat());
}

function residuals({ predicted, error, trend, target }) {
  const most = Math.max(...error.map(Math.abs)) || 1;
  const [low, high] = [Math.min(...predicted), Math.max(...predicted)];
  const [x, y] = scales(low, high, -most, most);
  const dots = predicted.map((p, i) => svg("circle", { cx: x(p), cy: y(error[i]), r: 2.2, class: "cloud" }));
  const points = trend[0].map((p, i) => `${x(p)},${y(trend[1][i])}`).join(" ");
  const parts = [
    svg("line", { x1: x(low), y1: y(0), x2: x(high), y2: y(0), class: "ideal" }), dots, svg("polyline", { points, class: "curve" }),
    axis(`predicted ${target}`, number(low, 3), number(high, 3), false), axis("true − predicted", number(-most, 3), number(most, 3), true),
  ];
  return plot("Residuals: true minus predicted numbers against the predicted ones", parts.flat());
}

// ------------------------------------------------------------------ diagnosis

function diagnosis(panel, { summary, healthy, findings, unchecked }) {
  const found = findings.map(({ severity, message, remedy }) => el("li", { class: severity }, el("b", {}, severity === "warning" ? "Warning" : "Note"), el("span", {}, message), el("em", {}, remedy)));
  const left = Object.entries(unchecked).map(([name, need]) => `${name.replaceAll("_", " ")} (${need})`);
  fill(
    panel,
    el("h3", { class: healthy ? "healthy" : "sick" }, healthy ? summary.split(" Note:")[0] : "This training is not well."),
    el("ul", { class: "findings" }, found),
    left.length ? el("p", { class: "quiet" }, `Not checked: ${left.join("; ")}.`) : null,
  );
}
