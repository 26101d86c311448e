// The page of one job: state, timeline, result, lines, and what can be done with it.

import { copyButton, download, el, fill, setText } from "./dom.js";
import { follow, request } from "./feed.js";
import { clock, isFinal, span, status } from "./format.js";
import { jsonView } from "./json.js";
import { figure, pictures } from "./picture.js";
import { clockNow, listen, state } from "./state.js";
import { draw } from "./timeline.js";

/** Log lines and chunks shown; a longer list begins with its end. */
const MOST_LINES = 1000;

export class JobPage {
  /** `go` opens another view; `edit` opens the form with an input. */
  constructor(id, { go, edit, say }) {
    this.id = id;
    this.go = go;
    this.edit = edit;
    this.say = say;
    this.items = [];
    this.dirty = false;
    this.shown = {};
    this.build();
    this.stop = follow(`/console/api/jobs/${encodeURIComponent(id)}/events`, {
      onEvent: (items) => {
        this.items.push(...items);
        this.dirty = true;
        this.update();
      },
      onGone: () => fill(this.element, el("p", { class: "empty" }, "This job is not in the record any more.")),
    });
    this.unlisten = listen(() => this.update());
    // A job that runs has a clock on the page; nothing is asked for.
    this.ticking = setInterval(() => this.update(), 250);
  }

  dispose() {
    this.stop();
    this.unlisten();
    clearInterval(this.ticking);
    for (const link of this.element.querySelectorAll("a[href^='blob:']")) URL.revokeObjectURL(link.href);
  }

  build() {
    this.pill = el("span", { class: "pill" });
    this.title = el("h1", { tabindex: "-1" });
    this.facts = el("dl", { class: "facts" });
    this.progress = el("div", { class: "progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, el("span"));
    this.progressText = el("p", { class: "muted progress-text" });
    this.buttons = {
      cancel: this.button("Cancel", "c", () => this.act("cancel")),
      retry: this.button("Retry", "t", () => this.act("retry")),
      replay: this.button("Replay", "r", () => this.replay()),
      edit: this.button("Edit and replay", "e", () => this.edit(this.input())),
      save: this.button("Save as test case", null, () => this.save()),
    };
    this.timeline = el("div", { class: "timeline" });
    this.sections = {
      error: this.section("Error"),
      violations: this.section("Against the protocol"),
      timeline: this.section("Timeline"),
      pictures: this.section("Pictures"),
      output: this.section("Output"),
      chunks: this.section("Chunks"),
      log: this.section("Log"),
      input: this.section("Input"),
    };
    this.sections.timeline.body.append(this.timeline);
    this.element = el(
      "article",
      { class: "job" },
      el("a", { class: "back", href: "#/jobs" }, "← Jobs"),
      el("div", { class: "job-head" }, this.pill, this.title),
      el("p", { class: "job-id" }, el("code", null, this.id), copyButton("Copy id", () => this.id)),
      el("div", { class: "actions" }, Object.values(this.buttons)),
      this.progress,
      this.progressText,
      this.facts,
      Object.values(this.sections).map((section) => section.element),
    );
    for (const section of Object.values(this.sections)) section.element.hidden = true;
  }

  button(label, key, action) {
    return el("button", { type: "button", "aria-keyshortcuts": key, title: key ? `Key: ${key}` : null, on: { click: action } }, label);
  }

  section(title) {
    const body = el("div", { class: "section-body" });
    return { element: el("section", null, el("h2", null, title), body), body };
  }

  /** The last entry of a kind since the job was queued last. */
  last(kind) {
    for (let at = this.items.length - 1; at >= 0; at--) {
      const item = this.items[at];
      if (item.kind === kind) return item;
      if (["submitted", "retried", "lost", "returned"].includes(item.kind)) return null;
    }
    return null;
  }

  all(kind) {
    return this.items.filter((item) => item.kind === kind);
  }

  input() {
    return this.items.find((item) => item.kind === "submitted")?.input;
  }

  update() {
    const job = state.jobs.get(this.id);
    if (!job) return;
    const { word, class: kind } = status(job.status);
    this.pill.className = `pill ${kind}`;
    setText(this.pill, word);
    setText(this.title, job.label || "Job");
    const final = isFinal(job.status);
    this.buttons.cancel.hidden = final;
    this.buttons.retry.hidden = kind !== "failed";
    this.drawProgress(job);
    this.drawFacts(job);
    if (!final || this.dirty || this.shown.status !== job.status) draw(this.timeline, this.items, clockNow());
    this.sections.timeline.element.hidden = this.items.length === 0;
    this.shown.status = job.status;
    if (!this.dirty) return;
    this.dirty = false;
    this.drawResult();
    this.drawLines();
  }

  drawProgress(job) {
    const update = job.status === "IN_PROGRESS" ? this.last("progress")?.output : null;
    const shown = job.percent !== undefined && job.status === "IN_PROGRESS";
    this.progress.hidden = !shown;
    this.progressText.hidden = !update;
    if (shown) {
      this.progress.setAttribute("aria-valuenow", String(Math.round(job.percent)));
      this.progress.firstChild.style.width = `${job.percent}%`;
    }
    if (update) setText(this.progressText, describe(update));
  }

  drawFacts(job) {
    const now = clockNow();
    const end = job.ended ?? now;
    const rows = [
      ["Submitted", clock(state.about.epoch, job.submitted)],
      ["Waited", span((job.taken ?? end) - job.submitted)],
      ["Ran", job.taken === undefined ? "–" : span(end - job.taken)],
      ["Worker", job.worker ? el("a", { href: `#/workers/${encodeURIComponent(job.worker)}` }, job.worker) : "–"],
      ["Runs", String(job.runs)],
    ];
    if (job.code) rows.push(["Code", el("code", null, job.code)]);
    const text = rows.map(([name, value]) => `${name}${value.textContent ?? value}`).join();
    if (this.shown.facts === text) return;
    this.shown.facts = text;
    fill(this.facts, rows.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value))));
  }

  drawResult() {
    const ended = this.last("ended");
    this.once("error", ended?.error, (error) => errorView(error));
    this.once("output", ended?.output, (output) => jsonView(output, "output"));
    const violations = this.all("violation");
    this.once("violations", violations.length || undefined, () =>
      el("ul", { class: "bad" }, violations.map((item) => el("li", null, `${item.message} (${clock(state.about.epoch, item.at)})`))),
    );
    this.once("input", this.input(), (input) => jsonView(input, "input"));
    const chunks = this.all("chunk");
    this.once("chunks", chunks.length || undefined, () =>
      el("ol", { class: "chunks", start: Math.max(1, chunks.length - MOST_LINES + 1) }, chunks.slice(-MOST_LINES).map((item) => el("li", null, chunkView(item.output)))),
    );
    const found = new Set();
    for (const value of [ended?.output, ...chunks.map((item) => item.output)]) pictures(value, found);
    // While a job runs, its last update may show the picture as far as it is.
    if (found.size === 0 && !ended) pictures(this.last("progress")?.output, found);
    const key = found.size === 0 ? undefined : [...found].map((text) => text.length + text.slice(-40)).join();
    this.once("pictures", key, () => {
      for (const link of this.sections.pictures.body.querySelectorAll("a[href^='blob:']")) URL.revokeObjectURL(link.href);
      return el("div", { class: found.size === 1 ? "pictures single" : "pictures" }, [...found].map((text, index) => figure(text, `${this.id}-${index + 1}`)));
    });
  }

  /** Fills a section when its value is a new one, and hides it when there is none. */
  once(name, value, view) {
    const section = this.sections[name];
    section.element.hidden = value === undefined;
    if (value === undefined || this.shown[name] === value) return;
    this.shown[name] = value;
    fill(section.body, view(value));
  }

  drawLines() {
    const lines = this.all("log");
    this.once("log", lines.length || undefined, () => {
      const left = lines.length - MOST_LINES;
      return [
        left > 0 ? el("p", { class: "muted" }, `${left} earlier lines are left out.`) : null,
        el("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Lines of this job" }, lines.slice(-MOST_LINES).map(lineView)),
      ];
    });
  }

  async act(operation) {
    try {
      await request("POST", `/v2/${state.about.endpoint}/${operation}/${encodeURIComponent(this.id)}`, "{}");
    } catch (problem) {
      this.say(problem.message);
    }
  }

  async replay() {
    const submitted = this.items.find((item) => item.kind === "submitted");
    if (!submitted) return;
    const { input, webhook, policy } = submitted;
    try {
      const job = await request("POST", `/v2/${state.about.endpoint}/run`, JSON.stringify({ input, webhook, policy }));
      this.go(`#/jobs/${job.id}`);
    } catch (problem) {
      this.say(problem.message);
    }
  }

  /** A file for --test_input of our workers and for tests: the input, and how the job ended. */
  save() {
    const job = state.jobs.get(this.id);
    const expect = isFinal(job.status) ? { status: job.status, code: job.code } : undefined;
    const text = JSON.stringify({ id: this.id, input: this.input(), expect }, null, 2);
    download(`${this.id}.test.json`, new Blob([text], { type: "application/json" }));
  }
}

/** A progress update in words. */
function describe(update) {
  if (typeof update !== "object" || update === null) return String(update);
  const parts = [];
  if (update.phase) parts.push(String(update.phase));
  if (update.step !== undefined && update.steps !== undefined) parts.push(`step ${update.step} of ${update.steps}`);
  if (update.eta_s !== undefined) parts.push(`${Number(update.eta_s).toFixed(1)} s left`);
  if (parts.length > 0) return parts.join(", ");
  const text = JSON.stringify(update);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** An error: the message and the hint, the rest folded. */
function errorView(error) {
  let fields = null;
  try {
    fields = JSON.parse(error);
  } catch {
    // Not every worker sends an object.
  }
  if (typeof fields !== "object" || fields === null) return el("pre", { class: "bad", tabindex: "0" }, String(error));
  const { error_message: message, hint, error_traceback: traceback, log_tail: tail, ...others } = fields;
  const folded = (title, text) =>
    text ? el("details", null, el("summary", null, title), el("pre", { tabindex: "0", "aria-label": title }, Array.isArray(text) ? text.join("\n") : String(text))) : null;
  return [
    el("p", { class: "bad error-message" }, String(message ?? error)),
    hint ? el("p", { class: "hint" }, el("strong", null, "What helps: "), String(hint)) : null,
    el("dl", { class: "facts" }, Object.entries(others).filter(([, value]) => typeof value !== "object").map(([name, value]) => el("div", null, el("dt", null, name.replaceAll("_", " ")), el("dd", null, String(value))))),
    folded("Traceback", traceback),
    folded("The worker's last lines", tail),
  ];
}

function chunkView(chunk) {
  if (typeof chunk === "string" && chunk.length < 2000) return el("span", { class: "chunk-text" }, chunk);
  return jsonView(chunk, "chunk");
}

/** A line of a log. */
export function lineView(item) {
  const level = (item.level ?? "").toUpperCase();
  const kind = level.startsWith("WARN") ? "warn" : level === "ERROR" || level === "CRITICAL" ? "error" : level === "DEBUG" || level === "TRACE" ? "debug" : null;
  return el(
    "div",
    { class: `line ${kind ?? ""}` },
    el("time", null, clock(state.about.epoch, item.at)),
    el("span", { class: "level" }, level || "·"),
    el("span", { class: "message" }, item.message),
  );
}
