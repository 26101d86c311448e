// Pictures in results: found, decoded, and shown with the parameters they were made with.

import { download, el } from "./dom.js";
import { bytes } from "./format.js";

/** How the base64 text of a picture begins. Formats that can hold scripts, such as SVG, are not among them. */
const BEGINNINGS = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["UklGR", "image/webp"],
];
/** Most pictures of one result that are shown. */
const MOST = 64;

/** The type of the picture in a text, or null. */
export function imageType(text) {
  const data = withoutPrefix(text);
  return BEGINNINGS.find(([beginning]) => data.startsWith(beginning))?.[1] ?? null;
}

function withoutPrefix(text) {
  return text.startsWith("data:image/") ? text.slice(text.indexOf(",") + 1) : text;
}

/** Every text in a value that holds a picture, each once. */
export function pictures(value, found = new Set()) {
  if (found.size >= MOST) return found;
  if (typeof value === "string") {
    if (value.length > 60 && imageType(value)) found.add(value);
  } else if (Array.isArray(value)) {
    for (const inner of value) pictures(inner, found);
  } else if (value && typeof value === "object") {
    for (const inner of Object.values(value)) pictures(inner, found);
  }
  return found;
}

/** A picture with its size and parameters; null if the text is no base64 after all. */
export function figure(text, name) {
  const type = imageType(text);
  let data;
  try {
    data = Uint8Array.from(atob(withoutPrefix(text)), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
  const blob = new Blob([data], { type });
  const url = URL.createObjectURL(blob);
  const size = el("span", null, bytes(data.length));
  const image = el("img", { src: url, alt: `Picture: ${name}`, loading: "lazy" });
  image.addEventListener("load", () => {
    size.textContent = `${image.naturalWidth} × ${image.naturalHeight}, ${bytes(data.length)}`;
  });
  const extension = type.replace("image/", "").replace("jpeg", "jpg");
  const parameters = type === "image/png" ? parametersOf(data) : null;
  return el(
    "figure",
    { class: "picture" },
    el("a", { href: url, target: "_blank", rel: "noopener", title: "Open in full size" }, image),
    el(
      "figcaption",
      null,
      el("div", { class: "picture-line" }, size, el("button", { type: "button", class: "quiet small", on: { click: () => download(`${name}.${extension}`, blob) } }, "Save")),
      parameters && details(parameters),
    ),
  );
}

function details(parameters) {
  const rows = parseInfotext(parameters);
  return el(
    "details",
    { class: "parameters", open: true },
    el("summary", null, "Generation parameters"),
    el("dl", null, rows.map(([name, value]) => [el("dt", null, name), el("dd", null, value)])),
  );
}

/** The text `parameters` of a PNG file, where WebUIs write what a picture was made with. */
export function parametersOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 8;
  while (at + 12 <= data.length) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
    const body = data.subarray(at + 8, at + 8 + length);
    if (kind === "IDAT" || kind === "IEND") return null;
    const text = textChunk(kind, body);
    if (text?.[0] === "parameters") return text[1];
    at += length + 12;
  }
  return null;
}

function textChunk(kind, body) {
  const end = body.indexOf(0);
  if (end < 0) return null;
  const name = new TextDecoder("latin1").decode(body.subarray(0, end));
  if (kind === "tEXt") return [name, new TextDecoder("latin1").decode(body.subarray(end + 1))];
  if (kind !== "iTXt" || body[end + 1] !== 0) return null;
  // Keyword, flag, method, language, translated keyword, text.
  const language = body.indexOf(0, end + 3);
  const translated = body.indexOf(0, language + 1);
  if (language < 0 || translated < 0) return null;
  return [name, new TextDecoder().decode(body.subarray(translated + 1))];
}

/** Lines as `prompt`, `Negative prompt: …`, `Steps: 20, Sampler: Euler a, …` as pairs. */
export function parseInfotext(text) {
  const lines = text.trim().split("\n");
  const last = /^Steps: /.test(lines.at(-1)) ? lines.pop() : null;
  const negative = lines.findIndex((line) => line.startsWith("Negative prompt: "));
  const prompt = lines.slice(0, negative < 0 ? undefined : negative).join("\n");
  const rows = [];
  if (prompt) rows.push(["Prompt", prompt]);
  if (negative >= 0) rows.push(["Negative prompt", lines.slice(negative).join("\n").replace("Negative prompt: ", "")]);
  for (const match of (last ?? "").matchAll(/([\w][\w \-/]*): ("(?:\\.|[^"\\])*"|[^,]*)(?:, |,|$)/g)) {
    rows.push([match[1], match[2].replace(/^"|"$/g, "")]);
  }
  return rows;
}
