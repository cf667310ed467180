// One card a unit: what it does, how it is, what it sees.
import { ago, clock, colourOf, el, fixed, isLost, onTheme, place, since } from "./format.js";
import { Thumbnail } from "./thumbnail.js";

const OLD_S = 3; // units say how they are several times a second
const COMING = ["starting", "inactive"];
const LIFE = { alive: "", suspect: "suspect", dead: "lost", left: "left" };

export class Cards {
  #list;
  #count;
  #store;
  #map;
  #cards = new Map();
  #planned = 0;

  constructor(list, count, store, map) {
    [this.#list, this.#count, this.#store, this.#map] = [list, count, store, map];
    for (const kind of ["snapshot", "units", "counts"]) store.addEventListener(kind, () => this.#plan());
    map.addEventListener("chosen", () => this.#plan());
    onTheme(() => this.#plan());
    setInterval(() => this.#plan(), 1000); // "4 s ago" grows by itself
  }

  get size() {
    return this.#cards.size;
  }

  #plan() {
    this.#planned ||= requestAnimationFrame(() => {
      this.#planned = 0;
      this.#show();
    });
  }

  #show() {
    const names = this.#store.names();
    if (!names.length) return;
    for (const [name, card] of this.#cards) {
      if (!this.#store.units.has(name)) {
        card.remove();
        this.#cards.delete(name);
      }
    }
    names.forEach((name, index) => {
      let card = this.#cards.get(name);
      if (!card) {
        card = new Card(name, () => this.#map.choose(name));
        this.#cards.set(name, card);
        this.#list.querySelector(".none")?.remove();
        this.#list.insertBefore(card.element, this.#list.children[index] ?? null);
      }
      const chosen = this.#map.chosen === name;
      card.show(this.#store.units.get(name), colourOf(index), chosen, (worker, state) =>
        this.#store.reason(name, worker, state));
      card.showCounts(this.#store.counts.get(name) ?? [], chosen);
    });
    const count = (...states) => names.filter((name) =>
      states.includes(this.#store.units.get(name).member_state)).length;
    const parts = [[count("alive", "suspect"), "here"], [count("dead"), "lost"], [count("left"), "left"]];
    text(this.#count, parts.filter(([n, is]) => n || is === "here").map((each) => each.join(" ")).join(", "));
  }
}

class Card {
  constructor(name, onChoose) {
    const part = (className, tag = "span") => el(tag, { className });
    this.doing = part("doing");
    this.life = part("badge");
    this.latch = el("span", { className: "badge latch", hidden: true }, "held");
    this.heard = part("heard");
    this.facts = part("facts", "p");
    this.workers = part("workers", "p");
    this.counts = part("workers counts", "p");
    this.picture = new Thumbnail(name);
    this.swatch = part("swatch", "i");
    const title = el("button", { className: "name", type: "button" }, this.swatch, name);
    title.addEventListener("click", onChoose);
    const body = el(
      "div", { className: "body" },
      el("h3", {}, title, this.doing, this.latch, this.life, this.heard),
      this.facts, this.workers, this.counts,
    );
    this.element = el("article", { className: "card" }, body, this.picture.element);
    this.element.dataset.unit = name;
  }

  remove() {
    this.picture.end();
    this.element.remove();
  }

  // `reason(worker, state)` is why a worker is as it is.
  show(unit, colour, chosen, reason) {
    const state = unit.state ?? {};
    const lost = isLost(unit);
    this.element.classList.toggle("lost", lost);
    this.element.classList.toggle("chosen", chosen);
    this.swatch.style.background = colour;
    text(this.doing, lost ? "" : state.doing || "unknown");
    text(this.life, LIFE[unit.member_state] ?? unit.member_state);
    this.life.hidden = unit.member_state === "alive";
    this.latch.hidden = lost || !state.latched;
    text(this.heard, ago(unit.heard_s));
    this.heard.classList.toggle("old", !lost && since(unit.heard_s) > OLD_S);
    this.heard.title = `last heard ${clock((unit.heard_s ?? 0) * 1000)}`;
    text(this.facts, lost ? lostFacts(unit) : liveFacts(state));
    this.#showWorkers(lost ? {} : state.workers ?? {}, reason);
    const perception = state.workers?.perception;
    // What an ill perception has sent last is no longer what the unit sees.
    this.picture.missing = lost || !perception ? "no picture"
      : perception === "active" ? "" : `perception ${perception}`;
  }

  // What the unit's gossip refused: what points at somebody always, all of it if chosen.
  showCounts(counts, chosen) {
    const rows = counts.filter((each) => each.harm || chosen);
    const told = JSON.stringify([rows, chosen]);
    if (this.toldCounts === told) return;
    this.toldCounts = told;
    this.counts.replaceChildren(...rows.map(({ what, count, harm, text }) => el(
      "span", { className: `worker ${harm ? "ill" : "life"}`, title: text },
      `${count} ${what}${chosen && text ? `: ${text}` : ""}`,
    )));
  }

  #showWorkers(workers, reason) {
    const rows = Object.entries(workers)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, state]) => [name, state, state === "active" ? "" : reason(name, state)]);
    const told = JSON.stringify(rows);
    if (this.told === told) return;
    this.told = told;
    this.workers.replaceChildren(...rows.map(([name, state, why]) => {
      const well = state === "active";
      const label = well ? name : `${name} ${state}${why ? `: ${why}` : ""}`;
      const title = `${name}: ${state}`;
      const health = well ? "well" : COMING.includes(state) ? "coming" : "ill";
      return el("span", { className: `worker ${health}`, title }, label);
    }));
  }
}

function liveFacts(state) {
  const facts = [];
  if (state.pose) {
    facts.push(`${fixed(Math.abs(state.speed_mps ?? 0), 2)} m/s`, place(state.pose.x_m, state.pose.y_m));
  }
  if (state.battery != null) facts.push(`${fixed(100 * state.battery, 0)} %`);
  if (state.hears) facts.push(`hears ${state.hears.length}`);
  if (state.dropped) facts.push(`${state.dropped} dropped`);
  return facts.join(" · ");
}

function lostFacts(unit) {
  const when = unit.lost_at_s ? `since ${clock(unit.lost_at_s * 1000)}` : "before this viewer came";
  const where = unit.lost_x_m == null ? "" : `at ${place(unit.lost_x_m, unit.lost_y_m)}`;
  const how = unit.member_state === "left" ? "has left" : "lost";
  return [how, when, where].filter(Boolean).join(" ");
}

function text(element, wanted) {
  if (element.textContent !== wanted) element.textContent = wanted;
}
