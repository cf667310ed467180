// The banner: what the swarm is at, from what its units do, and the judge's verdict.
import { fixed, isLost } from "./format.js";

const CLOSING = ["approaching", "surrounding"];

export class Mission {
  #place;
  #store;

  constructor(place, store) {
    this.#place = place;
    this.#store = store;
    for (const kind of ["snapshot", "units", "events"]) {
      store.addEventListener(kind, () => this.#show());
    }
  }

  #show() {
    const [state, text] = this.#held() ?? this.#verdict() ?? this.#progress();
    if (this.#place.dataset.state !== state) this.#place.dataset.state = state;
    const shown = this.#place.querySelector(".text");
    if (shown.textContent !== text) shown.textContent = text;
  }

  #verdict() {
    const event = this.#store.events.findLast((each) => each.type === "mtor.mission.done");
    if (!event) return null;
    const { verdict, mission, seconds, reason } = event.data;
    const name = mission ? `${mission}: ` : "";
    if (verdict === "done") return ["done", `Mission done, ${name}${fixed(seconds)} s`];
    return ["failed", `Mission not reached, ${name}${reason || verdict}`];
  }

  #here() {
    return [...this.#store.units.values()].filter((unit) => unit.state && !isLost(unit));
  }

  #held() {
    const here = this.#here();
    const all = here.length > 0 && here.every((unit) => unit.state.latched);
    return all ? ["held", `All ${here.length} units hold`] : null;
  }

  #progress() {
    const here = this.#here();
    if (!here.length) return ["none", "Waiting for the swarm"];
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
