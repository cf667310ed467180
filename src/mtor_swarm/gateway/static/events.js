// The list of what happened, newest first.
import { clock, el, fixed, place } from "./format.js";

const SHOWN = 150;
const MEASURED = (data) => (data.speed_mps == null ? "" : ` at ${fixed(data.speed_mps, 3)} m/s`);
const several = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
const quoted = (text) => (text ? ` “${text}”` : "");

// How each type reads; what is not here is shown as it is.
const READS = {
  "mtor.target.seen": (d) => `sees ${d.label} (${fixed(d.score, 2)}) at ${place(d.x_m, d.y_m)}`,
  "mtor.target.lost": (d) => `no longer sees ${d.label}`,
  "mtor.unit.changed": (d) => `${d.doing}${because(d.reason)}`,
  "mtor.worker.changed": (d) => `${d.worker} ${d.state}${because(d.reason)}`,
  "mtor.member.changed": (d) => `is ${d.state}${d.was ? `, was ${d.was}` : ""}`,
  "mtor.reflex.changed": (d) =>
    `${d.latched ? "held" : d.blocked ? "stopped short" : "free to move"}${because(d.reason)}`,
  "mtor.stop.issued": (d) => `“${d.text}” to ${several(d.units.length, "unit")}`,
  "mtor.command.issued": (d) => `“${d.text}” to ${several(d.units.length, "unit")}`,
  "mtor.command.acknowledged": (d, said) =>
    `${d.status}${quoted(said(d.command))}${MEASURED(d)}${because(d.reason)}`,
  "mtor.mission.done": (d) => `${d.mission} ${d.verdict} after ${fixed(d.seconds)} s${because(d.reason)}`,
  "mtor.viewer.behind": (d) => `this page was slow: ${d.dropped} messages left out, now up to date`,
};
const because = (reason) => (reason ? `: ${reason}` : "");

// `said(id)` is the text of a command.
function reads(event, said) {
  try {
    const known = READS[event.type];
    if (known) return known(event.data, said);
  } catch {
    // Data of an unexpected form is shown as it is.
  }
  return `${event.type.replace(/^mtor\./, "")} ${JSON.stringify(event.data ?? {}).slice(0, 200)}`;
}

function toneOf(event) {
  if (event.type === "mtor.stop.issued") return "stop";
  if (event.type === "mtor.mission.done") return "mission";
  if (event.type.startsWith("mtor.target.")) return "target";
  if (event.type.startsWith("mtor.command.")) return "command";
  const state = event.data?.state;
  const bad = ["dead", "suspect", "failed", "silent", "quarantined"].includes(state);
  return bad || event.data?.blocked || event.data?.status === "refused" ? "bad" : "";
}

export class Events {
  #list;
  #filter;
  #pause;
  #store;
  #planned = 0;

  constructor(list, filter, pause, store) {
    [this.#list, this.#filter, this.#pause, this.#store] = [list, filter, pause, store];
    for (const kind of ["snapshot", "events"]) store.addEventListener(kind, () => this.#plan());
    filter.addEventListener("change", () => this.#show());
    pause.addEventListener("click", () => {
      const paused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Resume" : "Pause";
      this.#show();
    });
  }

  #plan() {
    this.#planned ||= requestAnimationFrame(() => {
      this.#planned = 0;
      if (this.#pause.getAttribute("aria-pressed") !== "true") this.#show();
    });
  }

  #show() {
    this.#offer();
    const wanted = this.#filter.value;
    const found = this.#store.events.filter((event) => !wanted || event.type === wanted);
    const kept = new Map([...this.#list.children].map((row) => [row.dataset.id, row]));
    const shown = wanted ? found.map((event) => [event, 1]) : folded(found);
    const rows = shown.slice(-SHOWN).reverse().map(([event, times]) =>
      kept.get(`${event.id} ${times}`) ?? row(event, times, this.#store));
    if (!rows.length) rows.push(el("li", { className: "none" }, "Nothing has happened yet."));
    this.#list.replaceChildren(...rows);
  }

  #offer() {
    const known = new Set([...this.#filter.options].map((option) => option.value));
    for (const { type } of this.#store.events) {
      if (known.has(type) || known.size > 100) continue;
      known.add(type);
      this.#filter.append(el("option", { value: type }, type.replace(/^mtor\./, "")));
    }
  }
}

// A unit that goes on seeing the same is one row, its latest, with how many times it has.
function folded(events) {
  const rows = [];
  const latest = new Map(); // by unit
  for (const event of events) {
    const sight = event.type === "mtor.target.seen" ? event.data.label : null;
    const before = latest.get(event.unit);
    const again = sight !== null && before?.sight === sight;
    const times = again ? before.times + 1 : 1;
    if (again) rows[before.index] = null;
    latest.set(event.unit, { sight, times, index: rows.length });
    rows.push([event, times]);
  }
  return rows.filter(Boolean);
}

function row(event, times, store) {
  const claim = store.isClaim(event);
  const item = el(
    "li",
    { title: `${event.type} ${event.time}${claim ? `: signed by another, not by ${event.unit}` : ""}` },
    el("time", { dateTime: event.time }, clock(event.time)),
    el("b", {}, `${event.unit || event.source || ""}${claim ? "?" : ""}`),
    el("span", { className: "text" }, reads(event, (id) => store.said(id)),
      times > 1 ? el("span", { className: "times" }, ` ×${times}`) : ""),
  );
  item.dataset.id = `${event.id} ${times}`;
  item.dataset.tone = claim ? "bad" : toneOf(event);
  return item;
}
