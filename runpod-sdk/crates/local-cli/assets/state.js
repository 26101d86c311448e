// What the page knows: jobs, workers, violations. Views listen for changes.

import { follow } from "./feed.js";

export const state = {
  about: { endpoint: "", epoch: 0, price: null, schema: null, command: null },
  connected: false,
  /** The platform's clock when the last change came, and this page's clock then. */
  now: 0,
  heard: 0,
  /** Jobs by id. */
  jobs: new Map(),
  /** Ids in the order of submission. */
  order: [],
  counts: { IN_QUEUE: 0, IN_PROGRESS: 0, COMPLETED: 0, FAILED: 0 },
  workers: [],
  violations: [],
  faults: [],
  webhooks: 0,
  seconds: { start: 0, idle: 0, useful: 0, failed: 0, cancelled: 0, duplicate: 0, running: 0 },
};

const listeners = new Set();

/** Calls `listener` after every change; the function it returns ends that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The platform's clock as well as the page knows it, in milliseconds. */
export function clockNow() {
  return state.now + (performance.now() - state.heard);
}

let scheduled = false;

/** Tells the listeners, once for all changes before the next picture of the screen. */
export function changed() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const listener of listeners) listener();
  });
}

export function start() {
  follow("/console/api/events", {
    onEvent: apply,
    onLink: (connected) => {
      state.connected = connected;
      changed();
    },
  });
}

/** Takes in a change. */
export function apply(delta) {
  if (delta.reset) {
    state.jobs.clear();
    state.order = [];
    for (const status of Object.keys(state.counts)) state.counts[status] = 0;
  }
  state.now = delta.now;
  state.heard = performance.now();
  let unsorted = false;
  for (const job of delta.jobs) {
    const before = state.jobs.get(job.id);
    if (before) {
      count(before.status, -1);
    } else {
      const last = state.jobs.get(state.order.at(-1));
      unsorted ||= last !== undefined && last.number > job.number;
      state.order.push(job.id);
    }
    count(job.status, 1);
    job.search = `${job.label} ${job.id} ${job.code ?? ""} ${job.worker ?? ""}`.toLowerCase();
    state.jobs.set(job.id, job);
  }
  if (unsorted) state.order.sort((a, b) => state.jobs.get(a).number - state.jobs.get(b).number);
  if (delta.dropped.length > 0) {
    for (const id of delta.dropped) state.jobs.delete(id);
    state.order = state.order.filter((id) => state.jobs.has(id));
  }
  if (delta.workers) state.workers = delta.workers;
  if (delta.violations) state.violations = delta.violations;
  if (delta.faults) state.faults = delta.faults;
  state.webhooks = delta.webhooks;
  state.seconds = delta.seconds;
  changed();
}

function count(status, by) {
  const name = status === "TIMED_OUT" ? "FAILED" : status;
  if (name in state.counts) state.counts[name] += by;
}
