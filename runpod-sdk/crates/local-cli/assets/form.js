// Submitting a job: a form where the worker has a schema, JSON for every worker.

import { el, fill, setText } from "./dom.js";
import { request } from "./feed.js";
import { SchemaForm, variants } from "./schema.js";
import { state } from "./state.js";

const RECENT = "runpod-local recent inputs";
const KEPT = 12;
/** Larger inputs are not remembered: pictures would fill the browser's storage. */
const LONGEST = 50_000;
const EXAMPLE = { prompt: "a lighthouse in a storm, oil painting", steps: 20 };

function recent() {
  try {
    return JSON.parse(localStorage.getItem(RECENT)) ?? [];
  } catch {
    return [];
  }
}

function remember(input) {
  const text = JSON.stringify(input);
  if (text.length > LONGEST) return;
  const others = recent().filter((other) => JSON.stringify(other) !== text);
  localStorage.setItem(RECENT, JSON.stringify([input, ...others].slice(0, KEPT)));
}

export class SubmitForm {
  constructor({ go, input }) {
    this.go = go;
    this.variants = state.about.schema ? variants(state.about.schema) : [];
    this.problem = el("p", { class: "bad", role: "alert" });
    this.body = el("div");
    this.raw = el("textarea", { id: "raw", class: "code", rows: 12, spellcheck: "false", "aria-describedby": "raw-hint" });
    this.count = el("input", { id: "count", type: "number", min: 1, max: 1000, value: 1 });
    this.webhook = el("input", { id: "webhook", type: "checkbox" });
    this.timeout = el("input", { id: "timeout", type: "number", min: 5, placeholder: "endpoint's" });
    this.modes = el("div", { class: "modes", role: "group", "aria-label": "Form or JSON" });
    this.element = el(
      "form",
      { class: "submit", on: { submit: (event) => this.submit(event), keydown: (event) => this.key(event) } },
      el("a", { class: "back", href: "#/jobs" }, "← Jobs"),
      el("h1", { tabindex: "-1" }, "New job"),
      el("div", { class: "submit-top" }, this.modes, this.recentChoice()),
      this.body,
      el(
        "div",
        { class: "options" },
        el("div", { class: "field" }, el("label", { for: "count" }, "How many"), this.count),
        el("div", { class: "field" }, el("label", { for: "timeout" }, "Time limit, s"), this.timeout),
        el("div", { class: "check" }, this.webhook, el("label", { for: "webhook" }, "Webhook to the inbox here")),
      ),
      this.problem,
      el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Submit"), el("span", { class: "muted" }, "Ctrl + Enter")),
    );
    const start = input ?? recent()[0] ?? EXAMPLE;
    const fits = this.variants.findIndex((variant) => Object.keys(start).every((key) => key in variant.schema.properties));
    this.show(this.variants.length > 0 && fits >= 0 ? fits : this.variants.length > 0 && !input ? 0 : "raw", start);
  }

  dispose() {}

  recentChoice() {
    const inputs = recent();
    if (inputs.length === 0) return null;
    const name = (input) => String(input?.prompt ?? JSON.stringify(input)).slice(0, 60);
    const choice = el(
      "select",
      { "aria-label": "Recent inputs", on: { change: () => choice.value !== "" && this.show(this.mode, inputs[Number(choice.value)]) } },
      el("option", { value: "" }, "Recent inputs…"),
      inputs.map((input, index) => el("option", { value: index }, name(input))),
    );
    return choice;
  }

  /** Shows a variant's form, or JSON. */
  show(mode, input) {
    this.mode = mode;
    const button = (value, label) =>
      el("button", { type: "button", "aria-pressed": String(value === mode), on: { click: () => this.change(value) } }, label);
    fill(this.modes, this.variants.map((variant, index) => button(index, variant.title)), this.variants.length > 0 ? button("raw", "JSON") : null);
    if (mode === "raw") {
      this.form = null;
      this.raw.value = JSON.stringify(input, null, 2);
      fill(this.body, el("div", { class: "field wide" }, el("label", { for: "raw" }, "Input"), this.raw, el("small", { id: "raw-hint", class: "muted" }, "Any JSON value: the handler's input.")));
    } else {
      this.form = new SchemaForm(this.variants[mode]);
      this.form.fill(input);
      fill(this.body, this.form.element);
    }
  }

  change(mode) {
    try {
      this.show(mode, this.input());
      setText(this.problem, "");
    } catch (problem) {
      setText(this.problem, problem.message);
    }
  }

  input() {
    return this.form ? this.form.value() : JSON.parse(this.raw.value);
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.submit(event);
  }

  async submit(event) {
    event.preventDefault();
    setText(this.problem, "");
    let first = null;
    try {
      const input = this.input();
      const body = { input };
      if (this.webhook.checked) body.webhook = `${location.origin}/console/inbox`;
      if (this.timeout.value !== "") body.policy = { executionTimeout: Number(this.timeout.value) * 1000 };
      const text = JSON.stringify(body);
      const count = Math.min(Math.max(Number(this.count.value) || 1, 1), 1000);
      for (let sent = 0; sent < count; sent++) {
        const job = await request("POST", `/v2/${state.about.endpoint}/run`, text);
        first ??= job.id;
      }
      remember(input);
      this.go(`#/jobs/${first}`);
    } catch (problem) {
      setText(this.problem, problem instanceof SyntaxError ? `The input is no JSON: ${problem.message}` : problem.message);
    }
  }
}
