// The webhooks that jobs sent here.

import { el, fill } from "./dom.js";
import { follow } from "./feed.js";
import { bytes, clock, status } from "./format.js";
import { jsonView } from "./json.js";
import { state } from "./state.js";

export class InboxPage {
  constructor() {
    this.list = el("div", { class: "webhooks" });
    this.empty = el(
      "p",
      { class: "empty" },
      "No webhook has come. Submit a job with “Webhook to the inbox here”, or give this address as its webhook: ",
      el("code", null, `${location.origin}/console/inbox`),
    );
    this.element = el("article", { class: "page" }, el("h1", { tabindex: "-1" }, "Webhook inbox"), this.empty, this.list);
    this.stop = follow("/console/api/inbox/events", { onEvent: (webhooks) => this.add(webhooks) });
  }

  dispose() {
    this.stop();
  }

  add(webhooks) {
    for (const { at, body } of webhooks) {
      const { word, class: kind } = status(body?.status ?? "unknown");
      const content = el("div");
      const entry = el(
        "details",
        { class: "webhook" },
        el("summary", null, el("span", { class: `pill ${kind}` }, word), " ", el("code", null, String(body?.id ?? "no id")), el("span", { class: "muted" }, ` ${clock(state.about.epoch, at)}, ${bytes(JSON.stringify(body).length)}`)),
        content,
      );
      entry.addEventListener("toggle", () => entry.open && !content.firstChild && fill(content, jsonView(body, "webhook")));
      this.list.prepend(entry);
    }
    this.empty.hidden = this.list.childElementCount > 0;
  }
}
