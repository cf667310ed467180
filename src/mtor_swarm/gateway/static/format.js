// Small helpers. Texts of the swarm only ever become text nodes, never markup.
export function el(tag, { className = "", ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.startsWith("aria-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

export function clock(moment) {
  const date = moment instanceof Date ? moment : new Date(moment);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString("en-GB");
}

export const fixed = (value, digits = 1) =>
  Number.isFinite(value) ? value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1") : "?";

export const place = (x, y) => `(${fixed(x)}, ${fixed(y)})`;

// The gateway's clock: this page's may go wrong, and "heard 30 s ago" must be true.
let skew_s = 0;
export const setNow = (wall_s) => { skew_s = wall_s - Date.now() / 1000; };
export const now = () => Date.now() / 1000 + skew_s;
export const since = (wall_s) => Math.max(0, now() - (wall_s ?? 0));

export function ago(wall_s) {
  if (!wall_s) return "never";
  const seconds = since(wall_s);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

export const isLost = (unit) => unit.member_state === "dead" || unit.member_state === "left";

// Okabe and Ito's palette, told apart with every common kind of colour blindness; one for each
// unit in the order of their names. State is never told by colour alone.
const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00"];
const LIGHT = ["#2b8cc4", "#b97f00", "#007f5c", "#b0568a", "#8f8600", "#005a8f", "#b84a00"];

const dark = matchMedia("(prefers-color-scheme: dark)");
export function colourOf(index) {
  return (dark.matches ? PALETTE : LIGHT)[index % PALETTE.length];
}
export const onTheme = (changed) => dark.addEventListener("change", changed);
