// Numbers and times as people read them.

/** Milliseconds as `0.4 ms`, `340 ms`, `1.2 s`, `3 min 20 s`. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 10 && !Number.isInteger(ms)) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function seconds(number) {
  return number < 100 ? `${number.toFixed(1)} s` : span(number * 1000);
}

export function bytes(number) {
  if (number < 1000) return `${number} B`;
  if (number < 1_000_000) return `${(number / 1000).toFixed(number < 10_000 ? 1 : 0)} kB`;
  return `${(number / 1_000_000).toFixed(1)} MB`;
}

export function money(amount) {
  return amount < 1 ? amount.toFixed(4) : amount.toFixed(2);
}

/** A moment of the platform's clock as the time of day. */
export function clock(epoch, ms) {
  return new Date(epoch + ms).toLocaleTimeString([], { hour12: false });
}

export const STATUS = {
  IN_QUEUE: { word: "queued", class: "queued" },
  IN_PROGRESS: { word: "running", class: "running" },
  COMPLETED: { word: "completed", class: "completed" },
  FAILED: { word: "failed", class: "failed" },
  CANCELLED: { word: "cancelled", class: "cancelled" },
  TIMED_OUT: { word: "timed out", class: "failed" },
};

export function status(name) {
  return STATUS[name] ?? { word: name, class: "cancelled" };
}

export function isFinal(name) {
  return name !== "IN_QUEUE" && name !== "IN_PROGRESS";
}
