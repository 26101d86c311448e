// A form from a JSON Schema: fields for what forms can show, JSON for the rest. What is left empty is not sent.

import { el } from "./dom.js";

/** Texts with these names want room. */
const LONG = /prompt|text|message|content|code|description/i;

/** The forms a schema offers: one for each alternative, or one. */
export function variants(schema) {
  const root = resolve(schema, schema);
  const alternatives = root.oneOf ?? root.anyOf ?? [root];
  return alternatives
    .map((alternative) => resolve(alternative, schema))
    .filter((alternative) => alternative.properties)
    .map((alternative, index) => ({ title: alternative.title ?? `Form ${index + 1}`, schema: alternative, root: schema }));
}

function resolve(schema, root) {
  let found = schema ?? {};
  for (let depth = 0; typeof found.$ref === "string" && depth < 8; depth++) {
    const path = found.$ref.replace(/^#\//, "").split("/");
    found = path.reduce((inner, part) => inner?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root) ?? {};
  }
  // A type that may be null as well is that type, left empty.
  const choices = (found.anyOf ?? found.oneOf)?.filter((choice) => choice.type !== "null");
  if (choices?.length === 1 && !found.properties) return { ...resolve(choices[0], root), ...found, anyOf: undefined, oneOf: undefined };
  return found;
}

/** The fields of one variant. */
export class SchemaForm {
  constructor({ schema, root }) {
    this.fields = Object.entries(schema.properties).map(([name, inner]) => field(name, resolve(inner, root), schema.required?.includes(name) ?? false));
    const [first, others] = [this.fields.filter((each) => each.first), this.fields.filter((each) => !each.first)];
    this.element = el(
      "div",
      { class: "fields" },
      first.map((each) => each.element),
      others.length > 0 ? el("details", { open: first.length === 0 }, el("summary", null, `${first.length ? "More: " : ""}${others.length} fields`), el("div", { class: "fields" }, others.map((each) => each.element))) : null,
    );
  }

  /** The input, without what is empty. Throws for a field that holds no value of its type. */
  value() {
    const input = {};
    for (const each of this.fields) {
      const value = each.read();
      if (value !== undefined) input[each.name] = value;
    }
    return input;
  }

  /** Puts an input into the fields. */
  fill(input) {
    for (const each of this.fields) each.write(input?.[each.name]);
  }
}

function field(name, schema, required) {
  const type = Array.isArray(schema.type) ? schema.type.find((each) => each !== "null") : schema.type;
  const make = schema.enum || schema.const !== undefined ? choice : { boolean: flag, integer: number, number, string: text }[type] ?? json;
  const id = `field-${name}`;
  const made = make(id, schema, type, name);
  const hint = schema.description ? el("small", { id: `${id}-hint`, class: "muted" }, schema.description) : null;
  if (hint) made.control.setAttribute("aria-describedby", hint.id);
  if (required) made.control.setAttribute("aria-required", "true");
  made.control.id = id;
  return {
    name,
    first: required || LONG.test(name) || ["steps", "width", "height", "seed"].includes(name),
    element: el("div", { class: made.wide ? "field wide" : "field" }, el("label", { for: id }, name.replaceAll("_", " "), required ? el("span", { class: "muted" }, " (required)") : null), made.control, hint),
    read: made.read,
    write: made.write,
  };
}

const unset = (schema) => (schema.default === undefined || schema.default === null ? "not set" : `default: ${JSON.stringify(schema.default)}`);

function text(id, schema, type, name) {
  const long = LONG.test(name);
  const control = long ? el("textarea", { rows: 3 }) : el("input", { type: "text" });
  control.placeholder = unset(schema);
  return { control, wide: long, read: () => (control.value === "" ? undefined : control.value), write: (value) => (control.value = value ?? "") };
}

function number(id, schema, type) {
  const control = el("input", { type: "number", min: schema.minimum, max: schema.maximum, step: type === "integer" ? 1 : "any", placeholder: unset(schema) });
  return {
    control,
    read: () => {
      if (control.validity.badInput) throw new Error(`${id.replace("field-", "")} is a number`);
      return control.value === "" ? undefined : Number(control.value);
    },
    write: (value) => (control.value = value ?? ""),
  };
}

function flag(id, schema) {
  const options = [["", unset(schema)], ["true", "yes"], ["false", "no"]];
  const control = el("select", null, options.map(([value, word]) => el("option", { value }, word)));
  return { control, read: () => (control.value === "" ? undefined : control.value === "true"), write: (value) => (control.value = value === undefined ? "" : String(value)) };
}

function choice(id, schema) {
  const values = schema.enum ?? [schema.const];
  const control = el("select", null, el("option", { value: "" }, unset(schema)), values.map((value, index) => el("option", { value: index }, String(value))));
  return {
    control,
    read: () => (control.value === "" ? undefined : values[Number(control.value)]),
    write: (value) => (control.value = values.includes(value) ? String(values.indexOf(value)) : ""),
  };
}

function json(id, schema) {
  const control = el("textarea", { rows: 2, class: "code", placeholder: `JSON, ${unset(schema)}`, spellcheck: "false" });
  return {
    control,
    wide: true,
    read: () => {
      if (control.value.trim() === "") return undefined;
      try {
        return JSON.parse(control.value);
      } catch (problem) {
        throw new Error(`${id.replace("field-", "")}: ${problem.message}`);
      }
    },
    write: (value) => (control.value = value === undefined ? "" : JSON.stringify(value)),
  };
}
