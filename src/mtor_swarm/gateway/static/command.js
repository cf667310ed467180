// The command box with its completion and history, STOP and Release, and who answered what.
import { clock, el, fixed, since } from "./format.js";

const VERBS = ["hold", "release", "search", "return"];
const WORDS = ["all units", "all but", "and"];
const MAX_HISTORY = 50;
const MAX_HINTS = 8;
const RECENT_S = 15;
const FADE_MS = 12_000;
const PATIENCE_MS = 4000;
const UNSENT = "The gateway does not answer, so the units go on as they are. To stop them, use a stop of "
  + "their own, or on a machine that reaches them: mtor say \"all units hold\"";
const STATUS = {
  asked: "… asked",
  accepted: "✓ accepted",
  confirmed: "✓ confirmed",
  done: "✓ done",
  refused: "✕ refused",
  silent: "? silent",
};

export class Command {
  #form;
  #input;
  #hints;
  #answers;
  #store;
  #history = [];
  #back = 0;
  #shown = "";
  #closed = new Set();
  #fade = 0;

  constructor(form, answers, store) {
    this.#form = form;
    this.#input = form.querySelector("#say");
    this.#hints = form.querySelector("#hints");
    this.#answers = answers;
    this.#store = store;
    form.querySelector("#stop").addEventListener("click", () => this.send("all units hold"));
    form.querySelector("#release").addEventListener("click", () => this.send("all units release"));
    form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#typed();
    });
    this.#input.addEventListener("input", () => this.#hint());
    this.#input.addEventListener("focus", () => this.#hint());
    this.#input.addEventListener("blur", () => this.#show([]));
    this.#input.addEventListener("keydown", (press) => this.#key(press));
    for (const kind of ["snapshot", "command"]) store.addEventListener(kind, () => this.#latest());
  }

  async send(text) {
    this.#panel("open", `“${text}”`, "sending …", "");
    try {
      const answer = await fetch("/api/commands", {
        method: "POST",
        priority: "high",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const said = await answer.json();
      if (answer.status === 422) return this.#refused(text, "not understood, nothing was sent", said.error);
      if (!answer.ok) return this.#refused(text, "NOT SENT", said.error);
      this.#store.take({ kind: "command", command: this.#store.commands.get(said.id) ?? said });
      return true;
    } catch (error) {
      const late = error.name === "TimeoutError";
      return this.#refused(text, late ? "no answer: it may not have been sent" : "NOT SENT", UNSENT);
    }
  }

  async #typed() {
    const text = this.#input.value.trim();
    if (!text) return;
    this.#show([]);
    if (this.#history.at(-1) !== text) this.#history.push(text);
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
    this.#back = 0;
    if (await this.send(text)) this.#input.value = "";
  }

  #key(press) {
    const options = [...this.#hints.children];
    const chosen = options.findIndex((each) => each.ariaSelected === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[press.key];
    if (press.key === "Tab" && options.length && !press.shiftKey) {
      this.#complete(options[Math.max(0, chosen)].textContent);
    } else if (press.key === "Enter" && chosen >= 0) {
      this.#complete(options[chosen].textContent);
    } else if (press.key === "Escape") {
      if (options.length) this.#show([]);
      else this.#input.blur();
    } else if (step && options.length && this.#input.value && !this.#back) {
      this.#choose(options, (chosen + step + options.length) % options.length);
    } else if (step && this.#history.length) {
      this.#recall(-step);
    } else {
      return;
    }
    press.preventDefault();
  }

  #recall(step) {
    this.#back = Math.min(this.#history.length, Math.max(0, this.#back + step));
    this.#input.value = this.#back ? this.#history.at(-this.#back) : "";
    this.#show([]);
  }

  #hint() {
    this.#back = 0;
    const typed = this.#input.value.toLowerCase();
    if (!typed) return this.#show([]);
    const last = typed.split(/\s+/).at(-1);
    const words = [...WORDS, ...this.#store.names(), ...VERBS];
    const found = words.filter((word) => word.startsWith(last) && word !== last);
    this.#show(last ? found.slice(0, MAX_HINTS) : []);
  }

  #show(words) {
    this.#hints.hidden = !words.length;
    this.#input.ariaExpanded = String(words.length > 0);
    this.#input.removeAttribute("aria-activedescendant");
    this.#hints.replaceChildren(...words.map((word, index) => {
      const option = el("li", { role: "option", id: `hint-${index}` }, word);
      option.addEventListener("pointerdown", (press) => {
        press.preventDefault(); // the box keeps the focus
        this.#complete(word);
      });
      return option;
    }));
  }

  #choose(options, index) {
    options.forEach((each, i) => { each.ariaSelected = String(i === index); });
    this.#input.setAttribute("aria-activedescendant", options[index].id);
  }

  #complete(word) {
    this.#input.value = `${this.#input.value.replace(/\S*$/, "")}${word} `;
    this.#hint();
  }

  #refused(text, what, reason) {
    this.#panel("bad", `“${text}”`, what, el("p", {}, reason));
    return false;
  }

  // The last command, if it is news; once all is well the map has its place back.
  #latest() {
    const command = [...this.#store.commands.values()].at(-1);
    if (!command || this.#closed.has(command.id)) return;
    if (command.id !== this.#shown && since(command.issued_s) > RECENT_S) return;
    const { rows } = command;
    const silent = rows.filter((row) => row.status === "silent").length;
    const refused = rows.filter((row) => row.status === "refused").length;
    const reached = rows.filter((row) => row.fulfilled).length;
    const verb = command.verb === "hold" ? "confirmed" : "done";
    const parts = [`${reached} of ${rows.length} ${verb}`];
    if (silent) parts.push(`${silent} silent`);
    if (refused) parts.push(`${refused} refused`);
    const state = command.fulfilled ? "good" : silent || refused ? "bad" : "open";
    this.#panel(state, `“${command.text}”`, parts.join(", "), table(command), command.id);
    if (command.fulfilled) this.#fade = setTimeout(() => this.#close(), FADE_MS);
  }

  #panel(state, title, summary, body, id = "") {
    clearTimeout(this.#fade);
    this.#shown = id;
    const close = el("button", { type: "button", className: "close", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => this.#close());
    const head = el("header", {}, el("b", {}, title), el("span", { className: "sum" }, summary), close);
    this.#answers.dataset.state = state;
    this.#answers.hidden = false;
    this.#answers.replaceChildren(head, body);
  }

  #close() {
    this.#answers.hidden = true;
    if (this.#shown) this.#closed.add(this.#shown);
  }
}

function table(command) {
  const rows = command.rows.map((row) => el(
    "tr", { className: row.status },
    el("th", { scope: "row" }, row.unit),
    el("td", { className: "status" }, STATUS[row.status] ?? row.status),
    el("td", {}, row.speed_mps == null ? "" : `${fixed(row.speed_mps, 3)} m/s`),
    el("td", { className: "why" }, row.reason),
  ));
  const issued = clock(command.issued_s * 1000);
  return el("table", { title: `issued ${issued}` }, el("tbody", {}, ...rows));
}
