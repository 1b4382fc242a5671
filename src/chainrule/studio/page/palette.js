// Colours: told apart with every kind of colour vision, on light and on dark ground.

const PALETTES = {
  "blue–orange": { minus: [33, 113, 196], plus: [240, 132, 30] },
  "purple–green": { minus: [129, 62, 160], plus: [24, 142, 74] },
  "dark–light": { minus: null, plus: null }, // by lightness alone; minus is dashed
};
const LIGHT = { zero: [246, 247, 249], ink: "#1c2530", soft: "#5d6976", line: "#d5dbe2", card: "#ffffff", low: [38, 44, 52], high: [176, 184, 194], rim: "rgba(255, 255, 255, 0.9)" };
const DARK = { zero: [24, 31, 40], ink: "#e8eef4", soft: "#9aa7b4", line: "#323e4b", card: "#161d26", low: [84, 94, 106], high: [240, 244, 248], rim: "rgba(8, 12, 18, 0.9)" };
// Okabe & Ito 2008, Color Universal Design, and two more.
const CLASSES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#7F7F7F", "#7B4173", "#2F4B26"];

export const palette = { name: "blue–orange", dark: false, ...LIGHT, minus: [0, 0, 0], plus: [0, 0, 0], table: new Uint32Array(256), pale: new Uint32Array(256) };
export const names = Object.keys(PALETTES);

/** Take the colours of a palette and a theme. */
export function choosePalette(name, dark) {
  const ground = dark ? DARK : LIGHT;
  const chosen = PALETTES[name] ?? PALETTES[names[0]];
  Object.assign(palette, ground, { name, dark, minus: chosen.minus ?? ground.low, plus: chosen.plus ?? ground.high });
  palette.dashed = chosen.minus === null;
  for (let i = 0; i < 256; i++) {
    const value = (i - 128) / 127;
    palette.table[i] = pixel(mixed(value));
    palette.pale[i] = pixel(mixed(0.5 * value)); // below rows of the full colour
  }
}

const pixel = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

/** The colour of a value from -1 to 1. */
export function mixed(value) {
  const end = value < 0 ? palette.minus : palette.plus;
  const part = Math.min(1, Math.abs(value)) ** 0.8;
  return palette.zero.map((from, i) => Math.round(from + (end[i] - from) * part));
}

/** The same as text. */
export function css([r, g, b], alpha = 1) {
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

/** The colour of a sign. */
export function signed(value) {
  return css(value < 0 ? palette.minus : palette.plus);
}

/** The colour of a class, of so many. */
export function classColour(code, count) {
  if (count === 2) return css(code < 0.5 ? palette.minus : palette.plus);
  return CLASSES[code % CLASSES.length];
}

/** Red, green and blue of a class. */
export function classParts(code, count) {
  if (count === 2) return code < 0.5 ? palette.minus : palette.plus;
  const hex = CLASSES[code % CLASSES.length];
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
