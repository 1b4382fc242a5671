// The network as a picture of its own: links and names as shapes, what units make of the plane as images.

import { el, number, svg } from "./dom.js";
import { crowded, ends } from "./geometry.js";
import { view, weightsOf } from "./network.js";
import { css, palette } from "./palette.js";
import { outputName, state } from "./state.js";

const FONT = "system-ui, sans-serif";

/** The picture as the text of an SVG file. */
export function picture() {
  const { plan } = view;
  const height = plan.height + 30;
  const whole = svg("svg", { viewBox: `0 0 ${plan.width} ${height}`, width: plan.width, height, "font-family": FONT });
  whole.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  whole.append(svg("title", {}, title()), svg("rect", { width: plan.width, height, fill: palette.card }));
  for (let layer = 1; layer < plan.places.length; layer++) whole.append(links(plan, layer));
  plan.places.forEach((column, layer) => whole.append(tiles(plan, column, layer)));
  whole.append(svg("text", { x: 12, y: height - 10, "font-size": 12, fill: palette.soft }, title()));
  return new XMLSerializer().serializeToString(whole);
}

function title() {
  const { network } = state.facts;
  const loss = state.points.at(-1)?.[1];
  return `${network.widths.join(" – ")}, ${network.loss.replaceAll("_", " ")}, epoch ${state.frame.epoch}, loss ${number(loss, 4)}`;
}

function links(plan, layer) {
  const values = weightsOf(layer);
  const most = Math.max(...values.map(Math.abs)) || 1;
  const count = plan.counts[layer];
  const group = svg("g", { fill: "none" });
  const straight = crowded(plan, layer);
  values.forEach((value, i) => {
    const [x1, y1, x2, y2] = ends(plan, layer, Math.floor(i / count), i % count);
    const middle = (x1 + x2) / 2;
    const d = straight ? `M${x1} ${y1}L${x2} ${y2}` : `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
    const part = Math.abs(value) / most;
    group.append(svg("path", {
      d,
      stroke: css(value < 0 ? palette.minus : palette.plus),
      "stroke-opacity": (0.12 + 0.75 * part).toFixed(3),
      "stroke-width": (0.4 + 6 * (straight ? 0.5 : 1) * part ** 1.3).toFixed(2),
      "stroke-dasharray": palette.dashed && value < 0 ? "5 4" : undefined,
    }));
  });
  return group;
}

function tiles(plan, column, layer) {
  const group = svg("g", {});
  const last = plan.places.length - 1;
  const size = plan.sizes[layer];
  column.forEach(({ x, y }, unit) => {
    const href = image(view.tiles[layer], unit);
    if (href) group.append(svg("image", { href, x, y, width: size, height: size, preserveAspectRatio: "none" }));
    group.append(svg("rect", { x, y, width: size, height: size, fill: "none", stroke: palette.soft }));
    const name = layer === 0 ? state.facts.network.features[unit] : layer === last ? outputName(unit).replace("probability of ", "") : "";
    if (!name) return;
    const [at, anchor] = layer === 0 ? [x - 8, "end"] : [x + size + 8, "start"];
    group.append(svg("text", { x: at, y: y + size / 2 + 4, "text-anchor": anchor, "font-size": 12, fill: palette.ink }, name.slice(0, 16)));
  });
  return group;
}

/** One tile as the address of an image. */
function image(atlas, unit) {
  if (!atlas) return null;
  const grid = atlas.width;
  const canvas = el("canvas", { width: grid, height: grid });
  canvas.getContext("2d").drawImage(atlas, 0, unit * grid, grid, grid, 0, 0, grid, grid);
  return canvas.toDataURL("image/png");
}

/** The picture in pixels, twice as fine as the screen. */
export async function png() {
  const address = URL.createObjectURL(new Blob([picture()], { type: "image/svg+xml" }));
  const shown = new Image();
  shown.src = address;
  await shown.decode();
  const canvas = el("canvas", { width: 2 * shown.width, height: 2 * shown.height });
  canvas.getContext("2d").drawImage(shown, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
