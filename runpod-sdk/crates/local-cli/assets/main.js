// The page: header, views by the address after `#`, keyboard.

import { CostPage, KINDS, secondsBar } from "./cost.js";
import { el, fill, setText } from "./dom.js";
import { FaultsPage } from "./faults.js";
import { onKeyWanted, request, setKey } from "./feed.js";
import { seconds } from "./format.js";
import { SubmitForm } from "./form.js";
import { InboxPage } from "./inbox.js";
import { JobPage } from "./job.js";
import { JobList } from "./list.js";
import { listen, start, state } from "./state.js";
import { WorkerLog, WorkersPage, doing } from "./workers.js";

const main = document.getElementById("main");
const TABS = [
  ["jobs", "Jobs"],
  ["workers", "Workers"],
  ["faults", "Faults"],
  ["inbox", "Webhooks"],
  ["cost", "Cost"],
];

let view = null;
const list = new JobList((id) => go(`#/jobs/${id}`));
const detail = el("div", { class: "detail" });
const jobs = el("div", { class: "split" }, list.element, detail);

function go(hash) {
  if (location.hash === hash) show();
  else location.hash = hash;
}

/** Shows a message for a while. */
function say(text) {
  const toast = el("div", { class: "toast", role: "alert" }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

/** The input for the form, when it is opened to edit one. */
let edited;

function edit(input) {
  edited = input;
  go("#/new");
}

/** Opens what the address names. */
function show() {
  const [tab = "jobs", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  view?.dispose();
  view = null;
  const tools = { go, edit, say };
  if (tab === "workers") view = rest[0] ? new WorkerLog(rest[0]) : new WorkersPage(tools);
  else if (tab === "faults") view = new FaultsPage(tools);
  else if (tab === "inbox") view = new InboxPage();
  else if (tab === "cost") view = new CostPage();
  if (view) {
    fill(main, view.element);
  } else {
    const id = tab === "jobs" ? rest[0] : undefined;
    if (tab === "new") view = new SubmitForm({ ...tools, input: edited });
    else if (id) view = new JobPage(id, tools);
    else if (matchMedia("(min-width: 900px)").matches) view = new SubmitForm(tools);
    edited = undefined;
    fill(detail, view ? view.element : null);
    if (jobs.parentElement !== main) fill(main, jobs);
    jobs.dataset.open = String(tab === "new" || id !== undefined);
    list.select(id ?? null);
    list.update();
  }
  const current = TABS.some(([name]) => name === tab) ? tab : "jobs";
  for (const link of document.querySelectorAll("#tabs a")) {
    if (link.dataset.tab === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TABS.find(([name]) => name === current)[1]} · ${state.about.endpoint || "runpod-local"}`;
}

function tile(label, value, note, kind) {
  return el("div", { class: "tile" }, el("span", { class: "tile-label" }, kind ? el("span", { class: `dot ${kind}`, "aria-hidden": "true" }) : null, label), el("span", { class: "tile-value" }, value), note ? el("span", { class: "tile-note muted" }, note) : null);
}

function glance() {
  const { counts, workers } = state;
  const at = (word) => workers.filter((worker) => doing(worker)[0] === word).length;
  const present = workers.filter((worker) => !["stopped", "waiting"].includes(worker.state)).length;
  const words = ["busy", "idle", "starting", "frozen", "unhealthy"].filter((word) => at(word) > 0).map((word) => `${at(word)} ${word}`);
  const all = KINDS.reduce((sum, [kind]) => sum + state.seconds[kind], 0);
  const text = JSON.stringify([counts, words, present, Math.round(all * 10), state.violations.length, state.faults]);
  if (glance.shown === text) return;
  glance.shown = text;
  fill(
    document.getElementById("glance"),
    tile("Queued", String(counts.IN_QUEUE), null, "queued"),
    tile("Running", String(counts.IN_PROGRESS), null, "running"),
    tile("Completed", String(counts.COMPLETED), null, "completed"),
    tile("Failed", String(counts.FAILED), null, "failed"),
    tile("Workers", String(present), words.join(", ")),
    el("a", { class: "tile wide", href: "#/cost" }, el("span", { class: "tile-label" }, "Worker seconds"), el("span", { class: "tile-value" }, seconds(all)), secondsBar(state.seconds)),
    state.faults.some((fault) => !fault.spent) ? el("a", { class: "tile alarm", href: "#/faults" }, el("span", { class: "tile-label" }, "Faults in force"), el("span", { class: "tile-value" }, String(state.faults.filter((fault) => !fault.spent).length))) : null,
    state.violations.length > 0
      ? el("a", { class: "tile alarm", href: "#/workers" }, el("span", { class: "tile-label" }, "Against the protocol"), el("span", { class: "tile-value" }, String(state.violations.length)))
      : null,
  );
}

function header() {
  const link = document.getElementById("link");
  setText(link, state.connected ? "live" : "not connected");
  link.dataset.on = String(state.connected);
}

/* The theme: the system's, or the person's choice. */
const THEMES = { system: "light", light: "dark", dark: "system" };
const theme = document.getElementById("theme");

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  localStorage.setItem("runpod-local theme", name);
  const [sign, word] = { system: ["◐", "Auto"], light: ["☀", "Light"], dark: ["☾", "Dark"] }[name];
  fill(theme, el("span", { "aria-hidden": "true" }, `${sign} `), word, el("span", { class: "unseen" }, " theme"));
}

theme.addEventListener("click", () => setTheme(THEMES[localStorage.getItem("runpod-local theme")] ?? "system"));
const remembered = localStorage.getItem("runpod-local theme");
setTheme(remembered in THEMES ? remembered : "system");

/* Keyboard. */
const KEYS = [
  ["n", "New job", () => go("#/new")],
  ["/", "Filter the jobs", () => (go("#/jobs"), list.search.focus())],
  ["j", "Next job", () => list.move(1)],
  ["k", "Previous job", () => list.move(-1)],
  ["r", "Replay the job", () => press("replay")],
  ["e", "Edit and replay", () => press("edit")],
  ["c", "Cancel the job", () => press("cancel")],
  ["t", "Retry the failed job", () => press("retry")],
  ["Escape", "Back to the list", () => go("#/jobs")],
  ...TABS.map(([name, word], index) => [String(index + 1), word, () => go(`#/${name}`)]),
  ["?", "This help", () => help()],
];

function press(name) {
  const button = view instanceof JobPage ? view.buttons[name] : null;
  if (button && !button.hidden) button.click();
}

document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, textarea, select, dialog");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (writing) {
    if (event.key === "Escape" && !event.target.closest("dialog")) event.target.blur();
    return;
  }
  const found = KEYS.find(([key]) => key === event.key);
  if (!found) return;
  event.preventDefault();
  found[2]();
});

function dialog(title, ...content) {
  const box = el("dialog", { "aria-label": title }, el("h2", null, title), ...content);
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

function help() {
  const box = dialog(
    "Keyboard",
    el("dl", { class: "keys" }, KEYS.map(([key, word]) => el("div", null, el("dt", null, el("kbd", null, key)), el("dd", null, word)))),
    el("button", { type: "button", on: { click: () => box.close() } }, "Close"),
  );
}
document.getElementById("help").addEventListener("click", help);

/* The API key, where the platform has one. */
let asking = null;
onKeyWanted(() => {
  asking ??= new Promise((resolve) => {
    const input = el("input", { id: "key", type: "password", autocomplete: "off", required: true });
    const form = el(
      "form",
      { method: "dialog" },
      el("p", null, "This platform was started with --api-key. The key stays in this tab."),
      el("div", { class: "field" }, el("label", { for: "key" }, "API key"), input),
      el("button", { type: "submit", class: "primary" }, "Continue"),
    );
    const box = dialog("API key", form);
    box.addEventListener("close", () => {
      setKey(input.value);
      asking = null;
      resolve();
    });
  });
  return asking;
});

fill(document.getElementById("tabs"), TABS.map(([name, word]) => el("a", { href: `#/${name}`, "data-tab": name }, word)));
addEventListener("hashchange", show);
listen(() => {
  header();
  glance();
  if (jobs.parentElement === main) list.update();
});
header();
glance();
state.about = await request("GET", "/console/api/about");
setText(document.getElementById("endpoint"), state.about.endpoint);
if (state.about.command) document.getElementById("endpoint").title = state.about.command;
start();
show();
