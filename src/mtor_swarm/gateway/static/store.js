// What is known of the swarm, kept as the gateway tells it. Bounded. Parts listen for what changed.
import { setNow } from "./format.js";

const MAX_EVENTS = 500;
const MAX_COMMANDS = 16;
const MAX_REASONS = 4096;
const TRAIL_POINTS = 140;
const TRAIL_STEP_M = 0.05;

export class Store extends EventTarget {
  units = new Map();
  members = new Map();
  commands = new Map();
  counts = new Map(); // what each unit refused, dropped and lost
  trails = new Map();
  events = [];
  plan = { bounds: null, boxes: [] };
  dropped = 0;
  #seen = new Set();
  #reasons = new Map(); // why a worker is as it is, by "unit worker"

  // A message of the gateway: {kind: KIND, KIND: value}.
  take(message) {
    const value = message[message.kind];
    if (message.kind === "snapshot") this.#snapshot(value);
    else if (message.kind === "units") value.forEach((unit) => this.#unit(unit));
    else if (message.kind === "members") value.forEach((member) => this.#member(member));
    else if (message.kind === "events") this.#add(value);
    else if (message.kind === "command") this.#command(value);
    else if (message.kind === "pulse") setNow(value.now_s);
    else if (message.kind === "counts") this.counts = new Map(Object.entries(value));
    else return; // a newer gateway may tell more
    this.dispatchEvent(new Event(message.kind));
  }

  // Why a worker is in this state, if its unit has said so.
  reason(unit, worker, state) {
    const told = this.#reasons.get(`${unit} ${worker}`);
    return told?.state === state ? told.reason : "";
  }

  // Whether an event is in the name of a unit that did not sign it.
  isClaim(event) {
    const signer = this.members.get(event.origin);
    return Boolean(event.unit && signer) && !(signer.role === "unit" && signer.unit === event.unit);
  }

  // What a command said, if it is known here.
  said(id) {
    const known = this.commands.get(id) ?? this.events.find((event) => event.data?.id === id)?.data;
    return known?.text ?? "";
  }

  names() {
    return [...this.units.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }

  #snapshot(all) {
    this.units = new Map(all.units.map((unit) => [unit.unit, unit]));
    this.members = new Map(all.members.map((member) => [member.id, member]));
    this.commands = new Map(all.commands.map((each) => [each.id, each]));
    this.plan = all.plan;
    setNow(all.now_s);
    this.#add(all.events);
    if (all.dropped > this.dropped) {
      this.#add([noted("mtor.viewer.behind", "", { dropped: all.dropped - this.dropped })]);
    }
    this.dropped = all.dropped;
    for (const unit of all.units) this.#track(unit);
  }

  #unit(unit) {
    this.units.set(unit.unit, unit);
    this.#track(unit);
  }

  #track(unit) {
    const pose = unit.state?.pose;
    if (!pose) return;
    const trail = this.trails.get(unit.unit) ?? [];
    const last = trail.at(-1);
    if (last && Math.hypot(pose.x_m - last[0], pose.y_m - last[1]) < TRAIL_STEP_M) return;
    trail.push([pose.x_m, pose.y_m]);
    if (trail.length > TRAIL_POINTS) trail.shift();
    this.trails.set(unit.unit, trail);
  }

  #member(member) {
    const was = this.members.get(member.id)?.state ?? "";
    this.members.set(member.id, member);
    if (member.role !== "unit" || was === member.state) return;
    this.#add([noted("mtor.member.changed", member.unit, { state: member.state, was })]);
    this.dispatchEvent(new Event("events"));
  }

  #add(events) {
    for (const event of events) {
      if (this.#seen.has(event.id)) continue; // in the snapshot and told again
      this.#seen.add(event.id);
      event.data ??= {}; // left out where empty
      this.events.push(event);
      if (event.type === "mtor.worker.changed" && !this.isClaim(event)) {
        this.#reasons.set(`${event.unit} ${event.data.worker}`, event.data);
        if (this.#reasons.size > MAX_REASONS) this.#reasons.delete(this.#reasons.keys().next().value);
      }
    }
    for (const old of this.events.splice(0, Math.max(0, this.events.length - MAX_EVENTS))) {
      this.#seen.delete(old.id);
    }
  }

  #command(command) {
    this.commands.set(command.id, command);
    if (this.commands.size > MAX_COMMANDS) this.commands.delete(this.commands.keys().next().value);
  }
}

// What this page noticed itself, in the form of an event.
function noted(type, unit, data) {
  return { id: crypto.randomUUID(), type, unit, data, time: new Date().toISOString() };
}
