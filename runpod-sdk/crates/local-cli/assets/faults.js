// Faults on purpose: switches for those of the platform and the network, and where to find those of a worker.

import { el, fill } from "./dom.js";
import { request } from "./feed.js";
import { listen, state } from "./state.js";

/** Text form, title, what happens. `value` is what a person may change. */
const KINDS = [
  ["refuse-result", "Refuse a result", "The result of a job is answered with this status.", { label: "Status", value: "500" }],
  ["lose-result", "Lose a result", "It is acknowledged and thrown away. The job is given out again when its pings stop.", null],
  ["deliver-twice", "Deliver a job twice", "Once more while it runs, or once more after it is done.", { label: "When", choices: ["running", "done"] }],
  ["delay-progress", "Delay progress", "Updates are taken this much later.", { label: "Delay", value: "2s" }],
  ["slow-network", "Slow network", "Every call of a worker takes this much longer.", { label: "Delay", value: "500ms" }],
];

export class FaultsPage {
  constructor({ say }) {
    this.say = say;
    this.active = el("div", { class: "active-faults" });
    this.element = el(
      "article",
      { class: "page" },
      el("h1", { tabindex: "-1" }, "Faults"),
      el("p", { class: "muted" }, "What a bad day does to a worker. Its process can be killed, frozen and drained on the page ", el("a", { href: "#/workers" }, "Workers"), "."),
      el("h2", null, "In force"),
      this.active,
      el("h2", null, "Add one"),
      el("div", { class: "cards" }, KINDS.map((kind) => this.card(...kind))),
    );
    this.unlisten = listen(() => this.update());
    this.update();
  }

  dispose() {
    this.unlisten();
  }

  card(name, title, note, option) {
    const id = `fault-${name}`;
    const times = el("input", { id: `${id}-times`, type: "number", min: 1, value: 1, placeholder: "always" });
    let value = null;
    if (option) {
      value = option.choices ? el("select", { id }, option.choices.map((choice) => el("option", null, choice))) : el("input", { id, type: "text", value: option.value });
    }
    const add = async (event) => {
      event.preventDefault();
      const text = name + (value ? `:${value.value}` : "") + (times.value === "" ? "" : `*${times.value}`);
      await this.ask("POST", "/console/api/faults", JSON.stringify({ fault: text }));
    };
    return el(
      "form",
      { class: "card", "aria-label": title, on: { submit: add } },
      el("div", { class: "card-head" }, el("h2", null, title)),
      el("p", { class: "muted" }, note),
      el(
        "div",
        { class: "options" },
        value ? el("div", { class: "field" }, el("label", { for: id }, option.label), value) : null,
        el("div", { class: "field" }, el("label", { for: times.id }, "Times"), times),
        el("button", { type: "submit" }, "Switch on"),
      ),
    );
  }

  update() {
    const text = JSON.stringify(state.faults);
    if (this.shown === text) return;
    this.shown = text;
    fill(
      this.active,
      state.faults.length === 0 ? el("p", { class: "muted" }, "None: the platform works as it should.") : null,
      state.faults.map((fault) =>
        el(
          "div",
          { class: "fault" },
          el("code", null, fault.fault),
          el("span", { class: fault.spent ? "muted" : "bad" }, fault.spent ? `spent: struck ${fault.struck} times` : `struck ${fault.struck} times`),
          el("button", { type: "button", class: "small", "aria-label": `Remove ${fault.fault}`, on: { click: () => this.ask("DELETE", `/console/api/faults/${fault.id}`) } }, "Remove"),
        ),
      ),
    );
  }

  async ask(method, path, body) {
    try {
      await request(method, path, body);
    } catch (problem) {
      this.say(problem.message);
    }
  }
}
