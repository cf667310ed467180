// The page: puts the parts together. Everything shown comes from the store, which the socket feeds.
import { Cards } from "./cards.js";
import { Command } from "./command.js";
import { connect } from "./connection.js";
import { Events } from "./events.js";
import { watchHealth } from "./health.js";
import { MapView } from "./map.js";
import { Mission } from "./mission.js";
import { Store } from "./store.js";

const at = (id) => document.getElementById(id);
const store = new Store();
const map = new MapView(at("map"), store);
const cards = new Cards(at("units"), at("count"), store, map);
new Events(at("events"), at("filter"), at("pause"), store);
const mission = new Mission(at("mission"), store);
const command = new Command(at("command"), at("answers"), store);

function toggle(id, name) {
  const button = at(id);
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    map.show(name, on);
  });
}
toggle("links", "links");
toggle("trails", "trails");
at("fit").addEventListener("click", () => map.fit());
at("zoom-in").addEventListener("click", () => map.zoom(1.3));
at("zoom-out").addEventListener("click", () => map.zoom(1 / 1.3));

const keys = {
  "/": () => at("say").focus(),
  f: () => map.fit(),
  h: () => at("links").click(),
  t: () => at("trails").click(),
  S: () => command.send("all units hold"),
};
document.addEventListener("keydown", (press) => {
  const typing = press.target.matches("input, select, textarea");
  if (typing || press.repeat || press.ctrlKey || press.metaKey || press.altKey || !(press.key in keys)) return;
  press.preventDefault();
  keys[press.key]();
});

connect((message) => store.take(message), (state, text) => {
  at("link").dataset.state = state;
  at("link").querySelector(".text").textContent = text;
  document.body.classList.toggle("stale", state !== "live");
  mission.cutOff(state === "lost");
});

watchHealth(
  (counts) => store.take({ kind: "counts", counts }),
  () => at("link").dataset.state === "live" && !document.hidden,
);

// For tests and the curious: what the page knows and where it has drawn it. Read only.
window.mtor = Object.freeze({
  get link() { return at("link").dataset.state; },
  get units() { return structuredClone([...store.units.values()]); },
  get events() { return structuredClone(store.events); },
  get commands() { return structuredClone([...store.commands.values()]); },
  get drawn() { return map.drawn(); },
  get cards() { return cards.size; },
});
