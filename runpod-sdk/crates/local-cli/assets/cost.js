// What the workers' seconds were spent on, and what the same jobs would have cost with other workers.

import { el, fill } from "./dom.js";
import { money, seconds, span } from "./format.js";
import { listen, state } from "./state.js";

/** The kinds of seconds, in the order in which they are drawn. */
export const KINDS = [
  ["useful", "Completed jobs"],
  ["running", "Jobs that still run"],
  ["start", "Starting"],
  ["idle", "Idle"],
  ["failed", "Failed or lost jobs"],
  ["cancelled", "Cancelled jobs"],
  ["duplicate", "Jobs done twice"],
];

/** A bar with a part for each kind. */
export function secondsBar(spent) {
  const all = KINDS.reduce((sum, [kind]) => sum + spent[kind], 0);
  const words = KINDS.filter(([kind]) => spent[kind] > 0).map(([kind, word]) => `${word} ${seconds(spent[kind])}`);
  return el(
    "div",
    { class: "seconds", role: "img", "aria-label": words.length ? words.join(", ") : "No time has been spent" },
    KINDS.map(([kind]) => (all > 0 && spent[kind] > 0 ? el("span", { class: `s-${kind}`, style: { width: `${(spent[kind] / all) * 100}%` } }) : null)),
  );
}

/**
 * The jobs again with other workers: first come, first served; a worker starts when a job waits and there is room, and
 * leaves when it has been idle for long enough.
 *
 * `jobs` are `[submitted, execution]` in milliseconds, in the order of submission. Returns the workers' time and the mean
 * wait, in milliseconds.
 */
export function simulate(jobs, { min, max, startTime, idleTimeout, end }) {
  const workers = [];
  const first = jobs.length > 0 ? jobs[0][0] : 0;
  for (let count = 0; count < min; count++) workers.push({ born: 0, free: startTime });
  let spent = 0;
  let waited = 0;
  for (const [submitted, execution] of jobs) {
    // Those that have been idle for too long are gone by now.
    for (let at = workers.length - 1; at >= 0 && workers.length > min; at--) {
      const worker = workers[at];
      if (worker.free + idleTimeout < submitted) {
        spent += worker.free + idleTimeout - worker.born;
        workers.splice(at, 1);
      }
    }
    let worker = workers.reduce((best, each) => (best === null || each.free < best.free ? each : best), null);
    if (workers.length < max && (worker === null || worker.free > submitted)) {
      const fresh = { born: submitted, free: submitted + startTime };
      workers.push(fresh);
      if (worker === null || fresh.free < worker.free) worker = fresh;
    }
    const begin = Math.max(worker.free, submitted);
    waited += begin - submitted;
    worker.free = begin + execution;
  }
  for (const [index, worker] of workers.entries()) {
    const last = index < min ? Math.max(end, worker.free) : Math.min(Math.max(end, worker.free), worker.free + idleTimeout);
    spent += last - worker.born;
  }
  return { spent: spent / 1000, wait: jobs.length ? waited / jobs.length : 0, from: first };
}

export class CostPage {
  constructor() {
    this.bar = el("div");
    this.table = el("tbody");
    this.other = el("tbody");
    this.idle = el("input", { id: "what-idle", type: "number", min: 0, value: 5, on: { input: () => this.update() } });
    this.start = el("input", { id: "what-start", type: "number", min: 0, step: "any", on: { input: () => this.update() } });
    this.price = el("input", { id: "what-price", type: "number", min: 0, step: "any", value: state.about.price ?? localStorage.getItem("runpod-local price") ?? "", placeholder: "per second", on: { input: () => this.setPrice() } });
    const field = (input, label) => el("div", { class: "field" }, el("label", { for: input.id }, label), input);
    this.element = el(
      "article",
      { class: "page" },
      el("h1", { tabindex: "-1" }, "Worker seconds"),
      field(this.price, "Price of a worker per second"),
      this.bar,
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Seconds by kind" }, el("table", null, el("thead", null, el("tr", null, ["Spent on", "Time", "Share", "Cost"].map((word) => el("th", { scope: "col" }, word)))), this.table)),
      el("h2", null, "The same jobs with other workers"),
      el("p", { class: "muted" }, "Computed from when the jobs came and how long each one ran: first come, first served, one job a worker at a time."),
      el("div", { class: "options" }, field(this.idle, "Idle timeout, s"), field(this.start, "Start of a worker, s")),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Other settings" }, el("table", null, el("thead", null, el("tr", null, ["Workers", "Time", "Cost", "Mean wait"].map((word) => el("th", { scope: "col" }, word)))), this.other)),
    );
    this.unlisten = listen(() => this.update());
    this.update();
  }

  dispose() {
    this.unlisten();
  }

  setPrice() {
    localStorage.setItem("runpod-local price", this.price.value);
    this.update();
  }

  cost(time) {
    return this.price.value === "" ? "–" : money(time * Number(this.price.value));
  }

  update() {
    const spent = state.seconds;
    const all = KINDS.reduce((sum, [kind]) => sum + spent[kind], 0);
    fill(this.bar, secondsBar(spent));
    const row = (dot, word, time) =>
      el("tr", null, el("th", { scope: "row" }, dot ? el("span", { class: `dot s-${dot}`, "aria-hidden": "true" }) : null, word), el("td", null, seconds(time)), el("td", null, all > 0 ? `${((time / all) * 100).toFixed(0)} %` : "–"), el("td", null, this.cost(time)));
    fill(this.table, KINDS.map(([kind, word]) => row(kind, word, spent[kind])), row(null, "In all", all));
    this.updateOthers();
  }

  updateOthers() {
    const jobs = [];
    for (const id of state.order) {
      const job = state.jobs.get(id);
      if (job.taken !== undefined && job.ended !== undefined) jobs.push([job.submitted, job.ended - job.taken]);
    }
    const startTime = (this.start.value === "" ? this.measuredStart() : Number(this.start.value)) * 1000;
    this.start.placeholder = `${(startTime / 1000).toFixed(1)} as measured`;
    const settings = [[0, 1], [1, 1], [0, 2], [1, 2], [0, 4], [1, 4], [2, 8]];
    fill(
      this.other,
      jobs.length === 0
        ? el("tr", null, el("td", { colspan: 4 }, "No job has ended yet."))
        : settings.map(([min, max]) => {
            const { spent, wait } = simulate(jobs, { min, max, startTime, idleTimeout: Number(this.idle.value) * 1000, end: state.now });
            return el("tr", null, el("th", { scope: "row" }, min === max ? String(max) : `${min} to ${max}`), el("td", null, seconds(spent)), el("td", null, this.cost(spent)), el("td", null, span(wait)));
          }),
    );
  }

  /** Seconds that a start took on average. */
  measuredStart() {
    const starts = state.workers.reduce((sum, worker) => sum + worker.starts, 0);
    return starts > 0 ? state.seconds.start / starts : 5;
  }
}
