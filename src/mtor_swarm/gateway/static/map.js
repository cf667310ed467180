// The map: where everything is. Frame `map`, metres, x to the right, y up. Drawn only on a change.
import { Brush } from "./brush.js";
import { colourOf, isLost, onTheme } from "./format.js";

const SMOOTH_S = 0.09;
const STILL = 0.002;
const MARGIN_PX = 54;
const SCALE_PX_PER_M = [4, 600];
const MANY = 100;

export class MapView extends EventTarget {
  chosen = "";
  #canvas;
  #store;
  #brush;
  #view = { x_m: 0, y_m: 0, scale: 40 };
  #own = false; // whether a person has moved the map
  #shown = { links: true, trails: true };
  #poses = new Map();
  #planned = 0;
  #last_ms = 0;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas, store) {
    super();
    this.#canvas = canvas;
    this.#store = store;
    this.#brush = new Brush(canvas);
    for (const kind of ["snapshot", "units", "members"]) {
      store.addEventListener(kind, () => this.#plan());
    }
    store.addEventListener("snapshot", () => this.#own || this.fit());
    onTheme(() => this.#plan());
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#hands();
  }

  show(what, on) {
    this.#shown[what] = on;
    this.#plan();
  }

  choose(name) {
    this.chosen = this.chosen === name ? "" : name;
    this.dispatchEvent(new Event("chosen"));
    this.#plan();
  }

  // All of the field, or all units where no field is known.
  fit() {
    this.#own = false;
    const [x0, y0, x1, y1] = this.#bounds();
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const margin = Math.min(MARGIN_PX, width / 16);
    const across = (width - 2 * margin) / Math.max(x1 - x0, 1);
    const up = (height - 2 * margin) / Math.max(y1 - y0, 1);
    const scale = Math.max(SCALE_PX_PER_M[0], Math.min(across, up));
    this.#view = { x_m: (x0 + x1) / 2, y_m: (y0 + y1) / 2, scale };
    this.#plan();
  }

  zoom(factor, at = null) {
    const point = at ?? [this.#canvas.clientWidth / 2, this.#canvas.clientHeight / 2];
    const [x, y] = this.#place(point);
    const [least, most] = SCALE_PX_PER_M;
    this.#view.scale = Math.min(most, Math.max(least, this.#view.scale * factor));
    const [nx, ny] = this.#place(point);
    this.#move(x - nx, y - ny);
  }

  // Where each unit was drawn, in CSS pixels of the canvas, and the place in the world that means.
  drawn() {
    const scale = this.#view.scale;
    return Object.fromEntries([...this.#poses].map(([name, pose]) => {
      const [px, py] = this.#pixel(pose.x_m, pose.y_m);
      return [name, { ...pose, px, py, scale, lost: isLost(this.#store.units.get(name)) }];
    }));
  }

  #pixel(x_m, y_m) {
    const { x_m: cx, y_m: cy, scale } = this.#view;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    return [width / 2 + (x_m - cx) * scale, height / 2 - (y_m - cy) * scale];
  }

  #place([px, py]) {
    const { x_m: cx, y_m: cy, scale } = this.#view;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    return [cx + (px - width / 2) / scale, cy - (py - height / 2) / scale];
  }

  #move(dx_m, dy_m) {
    this.#own = true;
    this.#view.x_m += dx_m;
    this.#view.y_m += dy_m;
    this.#plan();
  }

  #bounds() {
    if (this.#store.plan.bounds) return this.#store.plan.bounds;
    const poses = [...this.#store.units.values()].map((unit) => unit.state?.pose).filter(Boolean);
    if (!poses.length) return [-5, -5, 5, 5];
    const xs = poses.map((pose) => pose.x_m);
    const ys = poses.map((pose) => pose.y_m);
    return [Math.min(...xs) - 2, Math.min(...ys) - 2, Math.max(...xs) + 2, Math.max(...ys) + 2];
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(this.#canvas.clientWidth * ratio);
    this.#canvas.height = Math.round(this.#canvas.clientHeight * ratio);
    if (this.#own) this.#plan();
    else this.fit();
  }

  #plan() {
    this.#planned ||= requestAnimationFrame((now_ms) => {
      this.#planned = 0;
      const moving = this.#glide(now_ms);
      this.#draw();
      this.#last_ms = moving ? now_ms : 0;
      if (moving) this.#plan();
    });
  }

  // States come ten times a second; between them units glide to where they were last heard.
  #glide(now_ms) {
    const step = this.#last_ms ? (now_ms - this.#last_ms) / 1000 : 0.016;
    const share = this.#calm.matches ? 1 : 1 - Math.exp(-step / SMOOTH_S);
    let moving = false;
    const known = this.#store.units;
    for (const name of this.#poses.keys()) if (!known.has(name)) this.#poses.delete(name);
    for (const [name, unit] of known) {
      const wanted = unit.state?.pose;
      if (!wanted) continue;
      const shown = this.#poses.get(name);
      const far = shown ? Math.hypot(wanted.x_m - shown.x_m, wanted.y_m - shown.y_m) : Infinity;
      const turn = shown ? wrap(wanted.yaw_rad - shown.yaw_rad) : 0;
      if (far > 2 || (far < STILL && Math.abs(turn) < STILL)) {
        this.#poses.set(name, { ...wanted });
        continue;
      }
      shown.x_m += share * (wanted.x_m - shown.x_m);
      shown.y_m += share * (wanted.y_m - shown.y_m);
      shown.yaw_rad += share * turn;
      moving = true;
    }
    return moving;
  }

  #draw() {
    const brush = this.#brush;
    const project = (x_m, y_m) => this.#pixel(x_m, y_m);
    brush.begin(project, this.#view.scale);
    brush.field(this.#store.plan.bounds);
    brush.grid(this.#place([0, this.#canvas.clientHeight]), this.#place([this.#canvas.clientWidth, 0]));
    brush.boxes(this.#store.plan.boxes ?? []);
    const names = this.#store.names();
    const units = names.map((name, index) => ({
      ...this.#store.units.get(name),
      at: this.#poses.get(name),
      colour: colourOf(index),
      lost: isLost(this.#store.units.get(name)),
      chosen: name === this.chosen,
    })).filter((unit) => unit.at);
    if (this.#shown.trails) {
      for (const unit of units) brush.trail(this.#store.trails.get(unit.unit) ?? [], unit);
    }
    if (this.#shown.links) brush.links(units, this.#store.members);
    brush.targets(units.filter((unit) => !unit.lost && unit.state.target));
    for (const unit of units) if (!unit.lost) brush.goal(unit);
    for (const unit of units) if (unit.lost) brush.lost(unit);
    for (const unit of units) if (!unit.lost) brush.unit(unit);
    const labelled = units.length > MANY ? units.filter((unit) => unit.chosen) : units;
    brush.labels(labelled);
    brush.ruler();
  }

  // Pointers, wheel and keys.
  #hands() {
    const canvas = this.#canvas;
    const held = new Map();
    let moved = 0;
    const spread = () => {
      const [a, b] = [...held.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]);
    };
    canvas.addEventListener("pointerdown", (press) => {
      canvas.setPointerCapture(press.pointerId);
      held.set(press.pointerId, [press.offsetX, press.offsetY]);
      moved = 0;
    });
    canvas.addEventListener("pointermove", (press) => {
      const from = held.get(press.pointerId);
      if (!from) return;
      const before = held.size === 2 ? spread() : 0;
      const [dx, dy] = [press.offsetX - from[0], press.offsetY - from[1]];
      held.set(press.pointerId, [press.offsetX, press.offsetY]);
      moved += Math.abs(dx) + Math.abs(dy);
      const share = held.size || 1;
      this.#move(-dx / this.#view.scale / share, dy / this.#view.scale / share);
      if (before) this.zoom(spread() / before, [press.offsetX, press.offsetY]);
    });
    const release = (press) => {
      if (held.delete(press.pointerId) && press.type === "pointerup" && moved < 4) {
        this.#pick(press.offsetX, press.offsetY);
      }
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("wheel", (turn) => {
      turn.preventDefault();
      this.zoom(Math.exp(-turn.deltaY / 400), [turn.offsetX, turn.offsetY]);
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.fit());
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    canvas.addEventListener("keydown", (press) => {
      const step = steps[press.key];
      if (step) this.#move((step[0] * 60) / this.#view.scale, (step[1] * 60) / this.#view.scale);
      else if (press.key === "+" || press.key === "=") this.zoom(1.3);
      else if (press.key === "-") this.zoom(1 / 1.3);
      else return;
      press.preventDefault();
    });
  }

  #pick(px, py) {
    const near = Object.entries(this.drawn())
      .map(([name, { px: x, py: y }]) => [Math.hypot(px - x, py - y), name])
      .sort(([a], [b]) => a - b)[0];
    if (near && near[0] < 24) this.choose(near[1]);
    else if (this.chosen) this.choose(this.chosen);
  }
}

const wrap = (angle) => Math.atan2(Math.sin(angle), Math.cos(angle));
