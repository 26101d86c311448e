// JSON on the screen: whole for small values, without the bytes of pictures.

import { copyButton, download, el } from "./dom.js";
import { bytes } from "./format.js";
import { imageType } from "./picture.js";

/** Longer texts are cut. */
const LONGEST_TEXT = 2000;
/** More is not shown; it can be downloaded. */
const MOST = 200_000;

/** A value with its pictures and very long texts replaced by words. */
export function elided(value) {
  if (typeof value === "string") {
    const kind = value.length > 200 ? imageType(value) : null;
    if (kind) return `<${kind.replace("image/", "")}, ${bytes(Math.floor((value.length * 3) / 4))}>`;
    return value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)} … <${value.length} characters in all>` : value;
  }
  if (Array.isArray(value)) return value.map(elided);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, elided(inner)]));
  }
  return value;
}

/** A value with buttons to copy and to save all of it. */
export function jsonView(value, name) {
  const text = JSON.stringify(elided(value), null, 2) ?? "nothing";
  const whole = () => JSON.stringify(value, null, 2);
  return el(
    "div",
    { class: "json" },
    el(
      "div",
      { class: "json-tools" },
      copyButton("Copy", whole),
      el(
        "button",
        {
          type: "button",
          class: "quiet small",
          on: { click: () => download(`${name}.json`, new Blob([whole()], { type: "application/json" })) },
        },
        "Save",
      ),
    ),
    el("pre", { tabindex: "0", "aria-label": name }, text.length > MOST ? `${text.slice(0, MOST)}\n…` : text),
  );
}
