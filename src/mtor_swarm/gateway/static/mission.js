// The banner: what the swarm is at, from what its units do, and the judge's verdict.
import { clock, fixed, isLost } from "./format.js";

const CLOSING = ["approaching", "surrounding"];

export class Mission {
  #place;
  #store;
  #cutOff = ""; // since when

  constructor(place, store) {
    this.#place = place;
    this.#store = store;
    for (const kind of ["snapshot", "units", "members", "events"]) {
      store.addEventListener(kind, () => this.#show());
    }
  }

  // While nothing is heard nothing is claimed: the swarm may do anything by now.
  cutOff(lost) {
    if (lost === Boolean(this.#cutOff)) return;
    this.#cutOff = lost ? clock(new Date()) : "";
    this.#show();
  }

  #show() {
    const [state, text] = this.#state();
    if (this.#place.dataset.state !== state) this.#place.dataset.state = state;
    const shown = this.#place.querySelector(".text");
    if (shown.textContent !== text) shown.textContent = this.#place.title = text;
  }

  #state() {
    if (this.#cutOff) return ["lost", `Cut off since ${this.#cutOff}: what you see is old`];
    const units = [...this.#store.units.values()];
    const here = units.filter((unit) => unit.state && !isLost(unit));
    const lost = units.filter((unit) => unit.member_state === "dead").length;
    const held = here.filter((unit) => unit.state.latched).length;
    const all = held > 0 && held === here.length;
    const [state, text] = all
      ? ["held", `All ${held} units hold`]
      : this.#verdict() ?? this.#progress(here, units.length > 0);
    const notes = [held && !all ? `${held} held` : "", lost ? `${lost} lost` : ""];
    return [state, [text, ...notes].filter(Boolean).join(" · ")];
  }

  #verdict() {
    const event = this.#store.events.findLast((each) => each.type === "mtor.mission.done"
      || (each.type === "mtor.command.issued" && each.data?.verb === "search"));
    if (event?.type !== "mtor.mission.done") return null; // none, or they were sent again
    const { verdict, mission, seconds, reason } = event.data;
    const name = mission ? `${mission}: ` : "";
    if (verdict === "done") return ["done", `Mission done, ${name}${fixed(seconds)} s`];
    return ["failed", `Mission not reached, ${name}${reason || verdict}`];
  }

  #progress(here, met) {
    if (!here.length) return ["none", met ? "No unit is here any more" : "Waiting for the swarm"];
    const count = (test) => here.filter(test).length;
    const closing = count((unit) => CLOSING.includes(unit.state.doing));
    const seen = count((unit) => unit.state.target);
    if (closing) return ["found", `Target found, ${closing} of ${here.length} closing in`];
    if (seen) return ["found", `Target found, known to ${seen} of ${here.length}`];
    const searching = count((unit) => unit.state.doing === "searching");
    if (searching) return ["search", `Searching, ${searching} of ${here.length} units`];
    return ["none", `${here.length} units here`];
  }
}
