// Equations of the trace as elements of the page: only MathML passes, and each symbol knows its place.

import { state } from "./state.js";

const POLICY = window.trustedTypes?.createPolicy("chainrule", { createHTML: (text) => text });
const MATHML = "http://www.w3.org/1998/Math/MathML";
const ALLOWED = new Set(["math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msub", "msup", "msubsup", "msqrt", "mtable", "mtr", "mtd"]);

/** An equation's lines and notes, rebuilt from nothing but MathML and text. */
export function rebuilt(html) {
  const parsed = new DOMParser().parseFromString(POLICY ? POLICY.createHTML(html) : html, "text/html");
  const blocks = [...parsed.body.querySelectorAll("div.equation, p.note")].filter((block) => !block.parentElement.closest("div.equation"));
  return blocks.map((block) => {
    const made = document.createElement(block.localName);
    made.className = block.className;
    for (const child of block.childNodes) made.append(copied(child));
    return made;
  });
}

function copied(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  let made;
  if (ALLOWED.has(node.localName)) {
    made = document.createElementNS(MATHML, node.localName);
    if (node.localName === "mo") made.setAttribute("stretchy", "false");
    if (node.localName === "mspace") made.setAttribute("width", node.getAttribute("width") ?? "");
  } else if (node.localName === "p") {
    made = document.createElement("p");
    made.className = "note";
  } else return document.createTextNode(node.textContent);
  for (const child of node.childNodes) made.append(copied(child));
  return made;
}

/** The symbol that a piece of MathML stands for, as a trace writes it: w_{0,1}^[2]. */
function symbolOf(node) {
  if (node.localName === "mi") return node.textContent;
  const [base, second, third] = [...node.children].map((child) => child.textContent);
  if (node.localName === "msub") return base + below(second);
  if (node.localName === "msubsup") return `${base}${below(second)}^${third}`;
  return node.localName === "msup" ? `${base}^${second}` : "";
}

const below = (text) => (/^\w+$/.test(text) ? `_${text}` : `_{${text}}`);

/** The element of the network that a symbol belongs to. */
export function elementOf(symbol) {
  const depth = state.facts.network.widths.length - 1;
  let found = symbol.match(/^[a-z]+_\{(\d+),(\d+)\}\^\[(\d+)\]$/);
  if (found) return { kind: "link", layer: Number(found[3]), from: Number(found[1]), to: Number(found[2]) };
  found = symbol.match(/^[a-z]+_(\d+)\^\[(\d+)\]$/);
  if (found) {
    const [unit, layer] = [Number(found[1]), Number(found[2])];
    return layer === depth ? { kind: "output", unit } : { kind: "unit", layer, unit };
  }
  found = symbol.match(/^(x|ŷ)_(\d+)$/);
  if (found) return { kind: found[1] === "x" ? "input" : "output", unit: Number(found[2]) };
  return /^(l_\d+|L)$/.test(symbol) ? { kind: "loss" } : null;
}

/** The pieces of an equation that stand for elements, each with its symbol; numbers go with the symbols above them. */
export function factors(block) {
  const lines = [...block.querySelectorAll(":scope > math")];
  const found = [];
  let named = [];
  lines.forEach((line, i) => {
    const pieces = [...line.querySelectorAll("mi, msub, msup, msubsup")].filter((node) => !node.parentElement.closest("msub, msup, msubsup"));
    const symbols = pieces.map((node) => [node, symbolOf(node)]).filter(([, symbol]) => elementOf(symbol));
    found.push(...symbols.map(([node, symbol]) => ({ node, symbol })));
    if (i === 0) {
      const equals = [...line.querySelectorAll("mo")].find((mo) => mo.textContent === "=");
      named = symbols.filter(([node]) => equals && equals.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING);
      return;
    }
    const numbers = [...line.querySelectorAll("mn")].filter((node) => !node.parentElement.closest("msub, msup, msubsup"));
    if (numbers.length === named.length) numbers.forEach((node, k) => found.push({ node, symbol: named[k][1] }));
  });
  return found;
}

const LONG = 14; // pieces of a line that need no place to break

/** Let a long line break before its terms and factors. */
export function breakable(block) {
  for (const line of block.querySelectorAll(":scope > math")) {
    const all = pieces(line);
    if (all.length <= LONG) continue;
    const row = document.createElement("div");
    row.className = "line";
    row.append(...chunked(all).map((chunk) => {
      const math = document.createElementNS(MATHML, "math");
      math.append(...chunk);
      return math;
    }));
    line.replaceWith(row);
  }
}

/** The pieces of a line in groups that stay together. */
function chunked(all) {
  const chunks = [[]];
  let depth = 0;
  let before = null;
  for (const piece of all) {
    const sign = piece.localName === "mo" ? piece.textContent : "";
    depth += (sign === "(") - (sign === ")");
    const breaks = sign === "+" || sign === "=" || (before?.localName === "mspace" && (sign === "−" || sign === "/"));
    if (depth === 0 && breaks && before) chunks.push([]);
    chunks.at(-1).push(piece);
    if (depth === 0 && sign === ",") chunks.push([]);
    before = piece;
  }
  return chunks.filter((chunk) => chunk.length);
}

/** The pieces of a line, whatever rows they are in. */
function pieces(row) {
  return [...row.children].flatMap((child) => (child.localName === "mrow" ? pieces(child) : [child]));
}
