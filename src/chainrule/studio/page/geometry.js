// Where each unit of the network is drawn.

const LETTER = 7; // pixels of a letter in the names left of the inputs
const LONGEST = 80; // pixels of such a name
const LOSS = 136; // and for names of outputs and the loss on the right
const TOP = 8;
const LARGEST = 50;
const SMALLEST = 12;
const NARROWEST = 124; // between two columns

/** Columns, tiles and links of a network for a width in pixels. */
export function arrange(network, width) {
  const { widths, drawn } = network;
  const counts = widths.map((count, i) => Math.min(count, i === 0 ? drawn.inputs : drawn.units));
  const sizes = counts.map((count) => Math.max(SMALLEST, Math.min(LARGEST, Math.floor(400 / count) - 5)));
  const gaps = counts.map((count, layer) => Math.max(3, Math.min(18, Math.floor(430 / count) - sizes[layer])));
  const rooms = counts.map((count, layer) => count * (sizes[layer] + gaps[layer]) - gaps[layer]);
  const columns = widths.length;
  const longest = Math.max(...network.features.slice(0, counts[0]).map((name) => name.length));
  const side = 20 + Math.min(LONGEST, LETTER * longest);
  const full = Math.max(width, side + LOSS + NARROWEST * (columns - 1) + LARGEST);
  const step = (full - side - LOSS - LARGEST) / Math.max(1, columns - 1);
  const height = Math.max(260, ...rooms) + 2 * TOP + 22;
  const middle = (height - 22) / 2;
  const places = counts.map((count, layer) => {
    const x = side + layer * step + (LARGEST - sizes[layer]) / 2;
    const top = middle - rooms[layer] / 2;
    return Array.from({ length: count }, (_, unit) => ({ x, y: top + unit * (sizes[layer] + gaps[layer]) }));
  });
  const loss = { x: full - 52, y: middle - 22, size: 44 };
  return { width: full, height, sizes, gaps, counts, places, loss, hidden: widths.map((n, i) => n - counts[i]) };
}

/** Both ends of a link. */
export function ends(plan, layer, from, to) {
  const a = plan.places[layer - 1][from];
  const b = plan.places[layer][to];
  const [before, after] = [plan.sizes[layer - 1], plan.sizes[layer]];
  return [a.x + before, a.y + before / 2, b.x, b.y + after / 2];
}

/** Add a link to a path: a gentle curve where there is room for it. */
export function trace(path, [x1, y1, x2, y2], straight) {
  path.moveTo(x1, y1);
  if (straight) path.lineTo(x2, y2);
  else path.bezierCurveTo((x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
}

/** Height of a link's curve at a share of its way. */
function heightAt([, y1, , y2], t, straight) {
  if (straight) return y1 + (y2 - y1) * t;
  // The curve's x is 1.5 t (1 - t) + t³ of its width; the share of the way is found by bisection.
  let low = 0;
  let high = 1;
  for (let i = 0; i < 20; i++) {
    const s = (low + high) / 2;
    if (1.5 * s * (1 - s) + s ** 3 < t) low = s;
    else high = s;
  }
  const s = (low + high) / 2;
  return y1 + (y2 - y1) * (3 * s * s - 2 * s ** 3);
}

/** The link that is nearest to a place, if one is near. */
export function linkAt(plan, x, y) {
  for (let layer = 1; layer < plan.places.length; layer++) {
    const left = plan.places[layer - 1][0].x + plan.sizes[layer - 1];
    const right = plan.places[layer][0].x;
    if (x <= left || x >= right) continue;
    let best = null;
    let nearest = 7;
    for (let from = 0; from < plan.counts[layer - 1]; from++) {
      for (let to = 0; to < plan.counts[layer]; to++) {
        const line = ends(plan, layer, from, to);
        const distance = Math.abs(heightAt(line, (x - left) / (right - left), crowded(plan, layer)) - y);
        if (distance < nearest) {
          nearest = distance;
          best = { kind: "link", layer, from, to };
        }
      }
    }
    return best;
  }
  return null;
}

/** Whether so many links lie between two layers that straight lines read better. */
export function crowded(plan, layer) {
  return plan.counts[layer - 1] * plan.counts[layer] > 200;
}
