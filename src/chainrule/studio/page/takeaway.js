// What is taken away: the model, the code, traces, a picture, and a link that restores the settings.

import { $, el, fill, tell } from "./dom.js";
import { png, picture } from "./picture.js";
import { on, state } from "./state.js";

let wire;

export function begin(connection) {
  wire = connection;
  on("facts", show);
  on("row", show);
  document.addEventListener("click", (event) => { if (!$("takeaway").contains(event.target)) $("takeaway").open = false; });
  $("takeaway").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { $("takeaway").open = false; $("takeaway").querySelector("summary").focus(); }
  });
}

function show() {
  const base = `s/${state.facts.session}`;
  const trace = `${base}/trace/units/${state.row}`;
  const link = (id, href, name, text, more) => el("a", { id, href, download: name, class: "item" }, el("b", {}, text), el("span", {}, more));
  const button = (id, action, text, more) => el("button", { id, class: "item", onclick: action }, el("b", {}, text), el("span", {}, more));
  const paste = el("input", { type: "text", id: "restore", placeholder: "Paste a link here", "aria-label": "Link to restore settings from" });
  paste.addEventListener("change", () => { restore(paste.value); paste.value = ""; });
  fill(
    $("takeaway-body"),
    link("take-model", `${base}/model`, "model.safetensors", "Model file", "for chainrule predict, explain and load"),
    link("take-code", `${base}/code`, "train.py", "Python code", "trains the same network to the same weights"),
    link("take-html", `${trace}/html`, "trace.html", "Trace as a page", `all equations of row ${state.row}`),
    link("take-latex", `${trace}/latex`, "trace.tex", "Trace as LaTeX", `all equations of row ${state.row}`),
    button("take-svg", () => save(new Blob([picture()], { type: "image/svg+xml" }), "network.svg"), "Picture as SVG", "the network as it is now"),
    button("take-png", () => png().then((blob) => save(blob, "network.png")), "Picture as PNG", "the same in pixels"),
    button("take-link", copy, "Copy a link", "restores the settings, and an example's rows"),
    el("label", { class: "item" }, el("b", {}, "Restore from a link"), paste),
  );
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  window.setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// ------------------------------------------------------------------ the link

/** The part of an address that restores the settings. */
function fragment() {
  const { settings, source } = state.facts;
  const text = JSON.stringify({ settings, example: source.example });
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function copy() {
  const address = `${location.href.split("#")[0]}#${fragment()}`;
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address);
    tell("The link has been copied. Later, paste it into “Restore from a link”.");
  } catch {
    tell("The link is in the address bar now: copy it from there.");
  }
}

/** Restore what a link holds. */
export async function restore(text) {
  const coded = text.includes("#") ? text.slice(text.indexOf("#") + 1) : text;
  try {
    const bytes = Uint8Array.from(atob(coded.trim().replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    await wire.ask("restore", { link: JSON.parse(new TextDecoder().decode(bytes)) });
    tell("The settings have been restored.");
  } catch (error) {
    tell(error instanceof SyntaxError || error.name === "InvalidCharacterError" ? "This is no link of the studio." : error.message, true);
  }
}
