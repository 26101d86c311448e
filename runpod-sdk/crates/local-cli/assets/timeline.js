// Where a job's time went: a row for each wait, run and step, on one scale.

import { el, fill } from "./dom.js";
import { span } from "./format.js";

/** The rows of a history, in milliseconds of the platform's clock; one that goes on has no `to`. */
export function rowsOf(items) {
  const rows = [];
  let open = null;
  const close = (at, kind) => {
    if (!open) return;
    open.to = at;
    if (kind) open.kind = kind;
    open = null;
  };
  const begin = (row) => {
    open = { to: null, ...row };
    rows.push(open);
  };
  let points = [];
  for (const item of items) {
    if (item.kind === "submitted") begin({ label: "In the queue", from: item.at, kind: "queued" });
    if (item.kind === "taken") {
      close(item.at);
      begin({ label: item.worker, from: item.at, kind: "running", run: true });
      points = [];
    }
    if (item.kind === "taken-again") rows.push({ label: `${item.worker} (again)`, from: item.at, to: item.at, kind: "queued" });
    if (item.kind === "returned" || item.kind === "lost" || item.kind === "retried") {
      close(item.at, item.kind === "lost" ? "failed" : null);
      begin({ label: item.kind === "lost" ? "In the queue again: worker lost" : "In the queue again", from: item.at, kind: "queued" });
    }
    if (item.kind === "ended") {
      const kind = { COMPLETED: "completed", CANCELLED: "cancelled" }[item.status] ?? "failed";
      close(item.at, open?.run ? kind : null);
    }
    if (item.kind === "points") {
      let before = 0;
      points = item.points.map(([name, at]) => {
        const row = { label: name.replaceAll("_", " "), from: item.at + before, to: item.at + at, kind: "step", step: true };
        before = at;
        return row;
      });
    }
  }
  return [...rows, ...points];
}

/** Draws them; `now` is the end of what goes on. */
export function draw(element, items, now) {
  const rows = rowsOf(items);
  if (rows.length === 0) return fill(element);
  const start = Math.min(...rows.map((row) => row.from));
  const end = Math.max(...rows.map((row) => row.to ?? now), start + 1);
  const place = (at) => `${(((at - start) / (end - start)) * 100).toFixed(3)}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  fill(
    element,
    el(
      "div",
      { class: "axis", "aria-hidden": "true" },
      ticks.map((part) => el("span", { style: { left: `${part * 100}%` } }, span((end - start) * part))),
    ),
    el(
      "ol",
      { class: "waterfall" },
      rows.map((row) => {
        const to = row.to ?? now;
        return el(
          "li",
          { class: row.step ? "step" : null },
          el("span", { class: "w-label" }, row.label),
          el(
            "span",
            { class: "w-track", "aria-hidden": "true" },
            el("span", { class: `w-bar ${row.kind}`, style: { left: place(row.from), width: `max(2px, calc(${place(to)} - ${place(row.from)}))` } }),
          ),
          el("span", { class: "w-span" }, span(to - row.from), row.to === null ? " …" : null),
        );
      }),
    ),
  );
}
