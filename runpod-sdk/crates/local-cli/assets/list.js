// The list of jobs. Only the rows on the screen exist, so that 10,000 jobs scroll like ten.

import { el, fill, setText } from "./dom.js";
import { clock, isFinal, span, status } from "./format.js";
import { clockNow, state } from "./state.js";

/** Height of a row, which the style has, too. */
const ROW = 58;
/** Rows beyond each edge. */
const MARGIN = 6;

const FILTERS = [
  ["", "All"],
  ["IN_QUEUE", "Queued"],
  ["IN_PROGRESS", "Running"],
  ["COMPLETED", "Completed"],
  ["FAILED", "Failed"],
  ["CANCELLED", "Cancelled"],
];

export class JobList {
  /** `onOpen` is called with the id of the job that is chosen. */
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.selected = null;
    this.shown = [];
    this.rows = new Map();
    this.text = "";
    this.status = "";
    this.search = el("input", {
      type: "search",
      placeholder: "Filter jobs  ( / )",
      "aria-label": "Filter jobs",
      on: { input: () => this.filter(this.search.value, this.status) },
    });
    this.choice = el(
      "select",
      { "aria-label": "State", on: { change: () => this.filter(this.text, this.choice.value) } },
      FILTERS.map(([value, word]) => el("option", { value }, word)),
    );
    this.count = el("span", { class: "muted", role: "status" });
    this.inner = el("div", { class: "rows-inner", role: "presentation" });
    this.box = el(
      "div",
      {
        class: "rows",
        role: "listbox",
        tabindex: "0",
        "aria-label": "Jobs, newest first",
        on: {
          scroll: () => this.draw(),
          keydown: (event) => this.key(event),
        },
      },
      this.inner,
    );
    this.empty = el("p", { class: "empty" });
    this.element = el(
      "section",
      { class: "list", "aria-label": "Jobs" },
      el("h1", { class: "unseen" }, "Jobs"),
      el("div", { class: "list-head" }, this.search, this.choice),
      el("div", { class: "list-count" }, this.count, el("a", { class: "button primary", href: "#/new" }, "New job")),
      this.box,
      this.empty,
    );
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.box);
  }

  filter(text, statusName) {
    this.text = text.toLowerCase();
    this.status = statusName;
    this.box.scrollTop = 0;
    this.update();
  }

  select(id) {
    this.selected = id;
    const index = this.shown.indexOf(id);
    if (index >= 0) {
      const [top, bottom] = [index * ROW, (index + 1) * ROW];
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (bottom > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom - this.box.clientHeight;
    }
    this.draw();
  }

  /** Opens the job that is `by` rows further down. */
  move(by) {
    if (this.shown.length === 0) return;
    const index = this.shown.indexOf(this.selected);
    const next = index < 0 ? 0 : Math.min(Math.max(index + by, 0), this.shown.length - 1);
    this.onOpen(this.shown[next]);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(by);
  }

  /** Takes in a change of the state. */
  update() {
    const shown = [];
    for (let at = state.order.length - 1; at >= 0; at--) {
      const id = state.order[at];
      const job = state.jobs.get(id);
      const statusName = job.status === "TIMED_OUT" ? "FAILED" : job.status;
      if (this.status && statusName !== this.status) continue;
      if (this.text && !job.search.includes(this.text)) continue;
      shown.push(id);
    }
    // Someone who reads further down keeps the place when a new job comes.
    const added = shown.length - this.shown.length;
    if (added > 0 && this.box.scrollTop > ROW && shown[added] === this.shown[0]) this.box.scrollTop += added * ROW;
    this.shown = shown;
    const all = state.order.length;
    setText(this.count, shown.length === all ? `${all} ${all === 1 ? "job" : "jobs"}` : `${shown.length} of ${all} jobs`);
    this.empty.hidden = shown.length > 0;
    setText(this.empty, all === 0 ? "No job yet. Submit one, or send one to the API." : "No job fits the filter.");
    this.box.hidden = shown.length === 0;
    this.draw();
  }

  draw() {
    this.inner.style.height = `${this.shown.length * ROW}px`;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MARGIN);
    const last = Math.min(this.shown.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + MARGIN);
    const wanted = new Set();
    for (let index = first; index < last; index++) {
      const id = this.shown[index];
      wanted.add(id);
      let row = this.rows.get(id);
      if (!row) {
        row = new Row(id, this.onOpen);
        this.rows.set(id, row);
        this.inner.append(row.element);
      }
      row.show(state.jobs.get(id), index, this.shown.length, id === this.selected);
    }
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    if (wanted.has(this.selected)) this.box.setAttribute("aria-activedescendant", rowId(this.selected));
    else this.box.removeAttribute("aria-activedescendant");
  }
}

function rowId(job) {
  return `row-${job}`;
}

class Row {
  constructor(id, onOpen) {
    this.pill = el("span", { class: "pill" });
    this.label = el("span", { class: "row-label" });
    this.note = el("span", { class: "row-note" });
    this.time = el("span", { class: "row-time" });
    this.bar = el("span", { class: "row-bar" });
    this.element = el(
      "div",
      { class: "row", role: "option", id: rowId(id), on: { click: () => onOpen(id) } },
      el("div", { class: "row-line" }, this.label, this.time),
      el("div", { class: "row-line" }, this.pill, this.note),
      this.bar,
    );
  }

  show(job, index, count, selected) {
    const { word, class: kind } = status(job.status);
    const element = this.element;
    element.style.transform = `translateY(${index * ROW}px)`;
    element.setAttribute("aria-selected", String(selected));
    element.setAttribute("aria-setsize", String(count));
    element.setAttribute("aria-posinset", String(index + 1));
    element.dataset.kind = kind;
    this.pill.className = `pill ${kind}`;
    setText(this.pill, word);
    setText(this.label, job.label || job.id);
    setText(this.time, clock(state.about.epoch, job.submitted));
    setText(this.note, note(job));
    element.classList.toggle("violated", job.violations > 0);
    const percent = job.status === "IN_PROGRESS" ? (job.percent ?? 0) : 0;
    this.bar.style.width = `${percent}%`;
  }
}

/** What matters about a job in its state. */
function note(job) {
  const parts = [];
  if (job.violations > 0) parts.push("⚠ protocol");
  if (job.status === "IN_QUEUE") parts.push(`waits for ${span(clockNow() - job.submitted)}`);
  if (job.status === "IN_PROGRESS") {
    if (job.percent !== undefined) parts.push(`${Math.round(job.percent)} %`);
    parts.push(job.worker);
  }
  if (isFinal(job.status)) {
    if (job.code) parts.push(job.code);
    if (job.taken !== undefined && job.ended !== undefined) parts.push(span(job.ended - job.taken));
  }
  if (job.runs > 1) parts.push(`run ${job.runs}`);
  return parts.join(" · ");
}
