// Building the page. Data becomes text nodes and attributes, never markup.

/**
 * An element. `props` are attributes, but for `on` (listeners by event) and `class`; those that are null or false are
 * left out. Children are nodes or texts; null is left out, too.
 */
export function el(tag, props, ...children) {
  const element = document.createElement(tag);
  set(element, props);
  element.append(...nodes(children));
  return element;
}

/** An element of a drawing. */
export function svg(tag, props, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, props);
  element.append(...nodes(children));
  return element;
}

function set(element, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "value" || name === "checked") {
      element[name] = value;
    } else if (name === "style") {
      Object.assign(element.style, value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

function nodes(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts new children in the place of the old ones. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** Sets the text of an element if it is another one: what a person has marked stays marked. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Offers a file to the person. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A button that says whether the text has been copied. */
export function copyButton(label, text) {
  const button = el("button", { type: "button", class: "quiet small" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}
