// The workers, and the lines of one of them.

import { el, fill, setText } from "./dom.js";
import { follow, request } from "./feed.js";
import { clock, span } from "./format.js";
import { lineView } from "./job.js";
import { clockNow, listen, state } from "./state.js";

const MOST_LINES = 2000;

/** What a worker does, in a word, with the class that colours it. */
export function doing(worker) {
  if (worker.unhealthy) return ["unhealthy", "failed"];
  if (worker.state === "frozen") return ["frozen", "cancelled"];
  if (worker.state === "stopping") return ["stopping", "cancelled"];
  if (worker.state === "waiting") return ["restarts soon", "failed"];
  if (worker.state === "stopped") return ["stopped", "cancelled"];
  if (worker.held.length > 0) return ["busy", "running"];
  return worker.ready ? ["idle", "completed"] : ["starting", "queued"];
}

export class WorkersPage {
  constructor({ say }) {
    this.say = say;
    this.cards = el("div", { class: "cards" });
    this.empty = el("div", { class: "empty" });
    this.element = el("article", { class: "page" }, el("h1", { tabindex: "-1" }, "Workers"), this.cards, this.empty, violationsView());
    this.unlisten = listen(() => this.update());
    this.update();
  }

  dispose() {
    this.unlisten();
  }

  update() {
    const text = JSON.stringify(state.workers);
    if (this.shown !== text) {
      this.shown = text;
      fill(this.cards, state.workers.map((worker) => this.card(worker)));
    }
    this.empty.hidden = state.workers.length > 0;
    fill(this.empty, "No worker has called. Start one: ", el("code", null, "runpod-local -- COMMAND"));
    updateViolations(this.element);
  }

  card(worker) {
    const [word, kind] = doing(worker);
    const external = worker.state === "external";
    const runs = ["running", "frozen", "stopping"].includes(worker.state);
    const order = (label, name, note) => el("button", { type: "button", class: "small", title: note, on: { click: () => this.order(worker.id, name) } }, label);
    const facts = [
      ["Process", worker.pid ?? "–"],
      ["GPU", worker.gpu ?? "–"],
      ["Starts", external ? "not ours" : worker.starts],
      ["Last exit", worker.last_exit ?? "–"],
      ["Last ping", worker.last_ping === null ? "–" : clock(state.about.epoch, worker.last_ping)],
      ["Protocol", worker.version ?? "–"],
    ];
    return el(
      "section",
      { class: "card", "aria-label": worker.id },
      el("div", { class: "card-head" }, el("h2", null, el("a", { href: `#/workers/${encodeURIComponent(worker.id)}` }, worker.id)), el("span", { class: `pill ${kind}` }, word)),
      worker.unhealthy ? el("p", { class: "bad" }, worker.unhealthy) : null,
      worker.held.length > 0 ? el("p", null, "Has ", worker.held.map((job, index) => [index ? ", " : "", el("a", { href: `#/jobs/${job}` }, job.slice(0, 8))])) : null,
      el("dl", { class: "facts" }, facts.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, String(value))))),
      runs
        ? el(
            "div",
            { class: "actions" },
            order("Kill", "kill", "SIGKILL, as when the machine is lost"),
            worker.state === "frozen" ? order("Thaw", "thaw", "It goes on") : order("Freeze", "freeze", "It stands still and pings no more"),
            order("Scale down", "scale-down", "SIGTERM: it finishes its job and leaves"),
          )
        : null,
    );
  }

  async order(worker, name) {
    try {
      await request("POST", `/console/api/workers/${encodeURIComponent(worker)}/${name}`);
    } catch (problem) {
      this.say(problem.message);
    }
  }
}

function violationsView() {
  return el("section", { class: "violations" }, el("h2", null, "Against the protocol"), el("ul", { class: "bad" }), el("p", { class: "muted" }));
}

function updateViolations(page) {
  const [list, note] = page.querySelectorAll(".violations ul, .violations p");
  const entries = state.violations.slice(0, 50);
  fill(
    list,
    entries.map((each) =>
      el("li", null, `${clock(state.about.epoch, each.at)} ${each.worker}: ${each.kind} `, each.job ? el("a", { href: `#/jobs/${each.job}` }, each.job.slice(0, 8)) : null),
    ),
  );
  note.hidden = entries.length > 0;
  setText(note, "No worker has done anything against the protocol.");
}

/** The lines of one worker, as they come. */
export class WorkerLog {
  constructor(id) {
    this.lines = el("div", { class: "log tall", tabindex: "0", role: "log", "aria-label": `Lines of ${id}` });
    this.state = el("span", { class: "pill" });
    this.note = el("span", { class: "muted" });
    this.element = el(
      "article",
      { class: "page" },
      el("a", { class: "back shown", href: "#/workers" }, "← Workers"),
      el("div", { class: "job-head" }, this.state, el("h1", { tabindex: "-1" }, id), this.note),
      this.lines,
    );
    this.id = id;
    this.stop = follow(`/console/api/workers/${encodeURIComponent(id)}/events`, { onEvent: (lines) => this.add(lines) });
    this.unlisten = listen(() => this.update());
    this.update();
  }

  dispose() {
    this.stop();
    this.unlisten();
  }

  add(lines) {
    const box = this.lines;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    box.append(...lines.map(lineView));
    while (box.childElementCount > MOST_LINES) box.firstChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  update() {
    const worker = state.workers.find((each) => each.id === this.id);
    if (!worker) return;
    const [word, kind] = doing(worker);
    this.state.className = `pill ${kind}`;
    setText(this.state, word);
    setText(this.note, `for ${span(clockNow() - worker.since)}`);
  }
}
