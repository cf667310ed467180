// A unit's camera picture: asked for once a second while it is on the screen, less if there is none.
import { el } from "./format.js";

const PERIOD_MS = 1000;
const LONGEST_MS = 30_000;
const PATIENCE_MS = 5000;
const AT_ONCE = 3; // a browser has six connections to a gateway: a stop must never wait for one
let asking = 0;

export class Thumbnail {
  missing = "no picture"; // why there can be none, or nothing
  #unit;
  #image = el("img", { alt: "", hidden: true });
  #why = el("span", { className: "why" }, "no picture");
  #visible = false;
  #failures = 0;
  #timer = 0;
  #ended = false;
  #watch;

  constructor(unit) {
    this.#unit = unit;
    this.#image.alt = `What ${unit} sees`;
    this.element = el("figure", {}, this.#image, this.#why);
    this.#watch = new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting;
    });
    this.#watch.observe(this.element);
    this.#next(0);
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#watch.disconnect();
    URL.revokeObjectURL(this.#image.src);
  }

  #next(wait) {
    if (this.#ended) return;
    this.#timer = setTimeout(() => this.#turn(), wait);
  }

  async #turn() {
    if (this.missing) this.#none(this.missing);
    else if (this.#visible && !document.hidden) {
      if (asking >= AT_ONCE) return this.#next(PERIOD_MS / 10);
      asking++;
      await this.#ask();
      asking--;
    }
    this.#next(Math.min(LONGEST_MS, PERIOD_MS * 2 ** this.#failures));
  }

  async #ask() {
    try {
      const name = encodeURIComponent(this.#unit);
      const answer = await fetch(`/api/units/${name}/thumbnail.jpg?quiet=true`, {
        priority: "low",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const picture = answer.headers.get("content-type") === "image/jpeg";
      if (!picture) throw new Error((await answer.json()).error);
      const old = this.#image.src;
      this.#image.src = URL.createObjectURL(await answer.blob());
      URL.revokeObjectURL(old);
      this.#image.hidden = false;
      this.#why.hidden = true;
      this.#failures = 0;
    } catch (error) {
      this.#failures = Math.min(this.#failures + 1, 5);
      this.#none(error instanceof TypeError || error.name === "TimeoutError" ? "no answer" : error.message);
    }
  }

  #none(reason) {
    this.#image.hidden = true;
    this.#why.hidden = false;
    if (this.#why.textContent !== reason) this.#why.textContent = reason;
    this.element.title = reason;
  }
}
