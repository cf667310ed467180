// How things on the map are drawn. Places in metres go through `project`; sizes are CSS pixels.
import { clock } from "./format.js";

const HULL_M = 0.18;
const LEAST_RADIUS_PX = 8;
const FONT = "system-ui, sans-serif";
const INKS = ["ground", "field", "grid", "wall", "box", "ink", "dim", "label", "target", "stop", "edge"];

export class Brush {
  #canvas;
  #pen;
  #project;
  #scale = 1;
  #ink = {};
  #aim = null; // where the target's label would stand

  constructor(canvas) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d", { alpha: false });
  }

  begin(project, scale) {
    this.#aim = null;
    this.#project = project;
    this.#scale = scale;
    const style = getComputedStyle(this.#canvas);
    this.#ink = Object.fromEntries(INKS.map((name) => [name, style.getPropertyValue(`--map-${name}`)]));
    const ratio = window.devicePixelRatio || 1;
    this.#pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#pen.fillStyle = this.#ink.ground;
    this.#pen.fillRect(0, 0, this.#canvas.clientWidth, this.#canvas.clientHeight);
  }

  // A line every metre, or every five or ten when far away.
  grid([x0, y0], [x1, y1]) {
    const step = [1, 5, 10, 50].find((metres) => metres * this.#scale > 18) ?? 100;
    const pen = this.#pen;
    pen.strokeStyle = this.#ink.grid;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = Math.ceil(x0 / step) * step; x <= x1; x += step) this.#line([x, y0], [x, y1]);
    for (let y = Math.ceil(y0 / step) * step; y <= y1; y += step) this.#line([x0, y], [x1, y]);
    pen.stroke();
  }

  field(bounds) {
    if (!bounds) return;
    const [left, top] = this.#project(bounds[0], bounds[3]);
    const [right, bottom] = this.#project(bounds[2], bounds[1]);
    this.#pen.fillStyle = this.#ink.field;
    this.#pen.fillRect(left, top, right - left, bottom - top);
  }

  boxes(boxes) {
    const pen = this.#pen;
    for (const box of boxes) {
      const long = Math.max(box.sx, box.sy);
      const short = Math.min(box.sx, box.sy);
      const wall = long > 6 * short;
      pen.save();
      pen.translate(...this.#project(box.x, box.y));
      pen.rotate(-box.yaw);
      const [w, h] = [box.sx * this.#scale, box.sy * this.#scale];
      pen.beginPath();
      pen.roundRect(-w / 2, -h / 2, w, h, wall ? 1 : 3);
      pen.fillStyle = wall ? this.#ink.wall : this.#ink.box;
      pen.fill();
      if (!wall) {
        // A hint of its own colour, to know it again in the units' pictures.
        pen.globalAlpha = 0.3;
        pen.fillStyle = box.color;
        pen.fill();
        pen.globalAlpha = 1;
        pen.strokeStyle = this.#ink.edge;
        pen.lineWidth = 1;
        pen.stroke();
      }
      pen.restore();
    }
  }

  trail(points, { colour, lost }) {
    const pen = this.#pen;
    pen.strokeStyle = lost ? this.#ink.dim : colour;
    pen.lineWidth = 2;
    pen.lineJoin = pen.lineCap = "round";
    const parts = 6;
    for (let part = 0; part < parts; part++) {
      const from = Math.floor((part * points.length) / parts);
      const to = Math.floor(((part + 1) * points.length) / parts);
      if (to - from < 1) continue;
      pen.globalAlpha = (lost ? 0.25 : 0.5) * ((part + 1) / parts) ** 2;
      pen.beginPath();
      points.slice(from, to + 1).forEach(([x, y], i) => {
        pen[i ? "lineTo" : "moveTo"](...this.#project(x, y));
      });
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  // Who hears whom; `hears` names units or members.
  links(units, members) {
    const places = new Map(units.filter((unit) => !unit.lost).map((unit) => [unit.unit, unit.at]));
    const pairs = new Set();
    const pen = this.#pen;
    pen.strokeStyle = this.#ink.ink;
    pen.globalAlpha = 0.13;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const unit of units) {
      for (const heard of (!unit.lost && unit.state.hears) || []) {
        const name = places.has(heard) ? heard : members.get(heard)?.unit;
        const pair = [unit.unit, name].sort().join(" ");
        if (!places.has(name) || pairs.has(pair)) continue;
        pairs.add(pair);
        const [from, to] = [unit.at, places.get(name)];
        this.#line([from.x_m, from.y_m], [to.x_m, to.y_m]);
      }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  // Each unit's estimate as a small cross of its colour, and a ring around where most have it.
  targets(units) {
    if (!units.length) return;
    const pen = this.#pen;
    const middle = (axis) => units.map((unit) => unit.state.target[axis]).sort((a, b) => a - b)[
      Math.floor(units.length / 2)];
    const [px, py] = this.#project(middle(0), middle(1));
    const radius = Math.max(13, 0.3 * this.#scale);
    pen.strokeStyle = this.#ink.target;
    pen.lineWidth = 2;
    for (const [size, alpha] of [[1, 1], [1.55, 0.35]]) {
      pen.globalAlpha = alpha;
      pen.beginPath();
      pen.arc(px, py, radius * size, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.globalAlpha = 1;
    for (const unit of units) {
      const [x, y] = this.#project(...unit.state.target);
      pen.strokeStyle = unit.colour;
      this.#cross(x, y, 4);
    }
    this.#aim = [px, py - radius * 1.55 - 9];
  }

  goal(unit) {
    if (!unit.state.goal) return;
    const pen = this.#pen;
    const from = this.#project(unit.at.x_m, unit.at.y_m);
    const [x, y] = this.#project(...unit.state.goal);
    pen.strokeStyle = unit.colour;
    pen.lineWidth = 1.5;
    pen.globalAlpha = 0.65;
    pen.setLineDash([5, 5]);
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(x, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    pen.beginPath();
    for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) pen.lineTo(x + dx, y + dy);
    pen.closePath();
    pen.fillStyle = this.#ink.field;
    pen.fill();
    pen.stroke();
  }

  unit(unit) {
    const pen = this.#pen;
    const [x, y] = this.#project(unit.at.x_m, unit.at.y_m);
    const radius = this.#radius();
    pen.save();
    pen.translate(x, y);
    if (unit.chosen) this.#ring(radius + 6, this.#ink.ink, 2);
    if (unit.state.latched) this.#ring(radius + 4, this.#ink.stop, 3);
    if (unit.member_state === "suspect") pen.globalAlpha = 0.5;
    pen.rotate(-unit.at.yaw_rad);
    pen.fillStyle = unit.colour;
    pen.strokeStyle = this.#ink.ground;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(0, 0, radius, 0.6, 2 * Math.PI - 0.6);
    pen.lineTo(radius * 1.9, 0); // the nose points where it heads
    pen.closePath();
    pen.stroke();
    pen.fill();
    pen.restore();
  }

  lost(unit) {
    const pen = this.#pen;
    const [x, y] = this.#project(unit.lost_x_m ?? unit.at.x_m, unit.lost_y_m ?? unit.at.y_m);
    pen.save();
    pen.translate(x, y);
    if (unit.chosen) this.#ring(this.#radius() + 6, this.#ink.ink, 2);
    pen.setLineDash([3, 3]);
    this.#ring(this.#radius() + 1, this.#ink.dim, 1.5);
    pen.setLineDash([]);
    pen.strokeStyle = this.#ink.dim;
    pen.lineWidth = 3.5;
    this.#cross(0, 0, this.#radius() * 0.75);
    pen.restore();
  }

  // The names of all, and what each does where that hides no unit and no other text.
  labels(units) {
    const reach = this.#radius();
    const taken = units.map((unit) => {
      const [x, y] = this.#project(unit.at.x_m, unit.at.y_m);
      return [x - reach, y - reach, x + reach, y + reach];
    });
    const free = (box) => taken.every((each) =>
      box[2] < each[0] || box[0] > each[2] || box[3] < each[1] || box[1] > each[3]);
    const lines = units.map((unit) => {
      const [x, y] = this.#project(unit.at.x_m, unit.at.y_m);
      return [unit, x, y + reach + 15];
    });
    for (const [unit, x, y] of lines) {
      this.#text(unit.unit, x, y, unit.lost ? this.#ink.dim : this.#ink.ink, true);
      taken.push(this.#box(unit.unit, x, y));
    }
    lines.sort(([a], [b]) => rank(b) - rank(a)); // what matters more has the place
    if (this.#aim && free(this.#box("target", ...this.#aim))) {
      this.#text("target", ...this.#aim, this.#ink.target, true);
      taken.push(this.#box("target", ...this.#aim));
    }
    for (const [unit, x, y] of lines) {
      const when = unit.lost_at_s ? clock(unit.lost_at_s * 1000) : "";
      const does = unit.lost ? `lost ${when}` : unit.state.latched ? "held" : unit.state.doing;
      const box = this.#box(does ?? "", x, y + 13);
      if (!does || !(unit.chosen || free(box))) continue;
      taken.push(box);
      this.#text(does, x, y + 13, unit.state.latched && !unit.lost ? this.#ink.stop : this.#ink.dim);
    }
  }

  ruler() {
    const metres = [1, 2, 5, 10, 20, 50, 100].find((each) => each * this.#scale > 60) ?? 200;
    const pen = this.#pen;
    const length = metres * this.#scale;
    const [right, bottom] = [this.#canvas.clientWidth - 18, this.#canvas.clientHeight - 16];
    pen.strokeStyle = this.#ink.dim;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(right - length, bottom - 5);
    pen.lineTo(right - length, bottom);
    pen.lineTo(right, bottom);
    pen.lineTo(right, bottom - 5);
    pen.stroke();
    this.#text(`${metres} m`, right - length / 2, bottom - 9, this.#ink.dim);
  }

  #radius() {
    return Math.max(LEAST_RADIUS_PX, HULL_M * this.#scale);
  }

  #line(from, to) {
    this.#pen.moveTo(...this.#project(...from));
    this.#pen.lineTo(...this.#project(...to));
  }

  #ring(radius, ink, width) {
    this.#pen.strokeStyle = ink;
    this.#pen.lineWidth = width;
    this.#pen.beginPath();
    this.#pen.arc(0, 0, radius, 0, 2 * Math.PI);
    this.#pen.stroke();
  }

  #cross(x, y, size) {
    const pen = this.#pen;
    pen.beginPath();
    pen.moveTo(x - size, y - size);
    pen.lineTo(x + size, y + size);
    pen.moveTo(x - size, y + size);
    pen.lineTo(x + size, y - size);
    pen.stroke();
  }

  // Where a text stands: left, top, right, bottom.
  #box(text, x, y) {
    const half = this.#pen.measureText(text).width / 2 + 2;
    return [x - half, y - 10, x + half, y + 2];
  }

  #text(text, x, y, ink, bold = false) {
    const pen = this.#pen;
    pen.font = `${bold ? "600 12px" : "11px"} ${FONT}`;
    pen.textAlign = "center";
    pen.lineJoin = "round";
    pen.strokeStyle = this.#ink.label;
    pen.lineWidth = 3;
    pen.strokeText(text, x, y);
    pen.fillStyle = ink;
    pen.fillText(text, x, y);
  }
}

const rank = (unit) => 4 * unit.chosen + 2 * unit.lost + Boolean(unit.state?.latched);
