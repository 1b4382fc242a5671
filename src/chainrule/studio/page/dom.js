// Small helpers for the page's own elements. Text is always set as text, never parsed.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: el("button", {class: "x", onclick: f}, "Text", child). */
export function el(tag, facts = {}, ...children) {
  return furnish(document.createElement(tag), facts, children);
}

/** Make an SVG element. */
export function svg(tag, facts = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), facts, children);
}

function furnish(element, facts, children) {
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in PROPERTIES) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const PROPERTIES = { value: 1, checked: 1, disabled: 1, textContent: 1, selected: 1 };

export const $ = (id) => document.getElementById(id);

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A labelled list of choices. */
export function choice(label, options, value, onchange, facts = {}) {
  const select = el("select", { onchange: (event) => onchange(event.target.value), ...facts });
  for (const option of options) {
    const [name, title, doc] = Array.isArray(option) ? option : [option, option, ""];
    select.append(el("option", { value: name, title: doc, selected: name === value }, title));
  }
  select.value = value;
  return el("label", { class: "field" }, el("span", {}, label), select);
}

/** A labelled number; it is reported when it is left or Enter is pressed. */
export function numeric(label, value, onchange, facts = {}) {
  const input = el("input", { type: "number", value: String(value), ...facts });
  let known = value;
  const commit = () => {
    const read = Number(input.value);
    if (input.value === "" || !Number.isFinite(read)) input.value = String(known);
    else if (read !== known) onchange((known = read));
  };
  input.dataset.known = String(value);
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") commit(); });
  return el("label", { class: "field" }, el("span", {}, label), input);
}

/** A number as the page prints it: with so many significant digits and a true minus. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−").replace("e+", "e");
}

/** Call a function at most once in so many milliseconds, and once more at the end. */
export function calm(milliseconds, action) {
  let last = 0;
  let waiting = 0;
  return () => {
    const left = last + milliseconds - performance.now();
    if (waiting) return;
    waiting = window.setTimeout(() => { waiting = 0; last = performance.now(); action(); }, Math.max(0, left));
  };
}

/** Say something to a screen reader, and show it for a while. */
export function tell(text, wrong = false) {
  const box = $("toast");
  box.className = wrong ? "toast shown wrong" : "toast shown";
  box.textContent = text;
  window.clearTimeout(tell.timer);
  tell.timer = window.setTimeout(() => { box.className = "toast"; }, wrong ? 9000 : 4000);
}
