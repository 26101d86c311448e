// Requests, and server-sent events by `fetch`: unlike EventSource it can send the API key.

const KEY = "runpod-local key";
/** Milliseconds between attempts to connect again. */
const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 5000;

let askForKey = async () => {};

/** `ask` is called when the platform wants a key, and returns once there is a new one. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}`, ...more } : { ...more };
}

/** A request to the platform or the console. Throws with the platform's words if it is refused. */
export async function request(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
    body,
  });
  if (answer.status === 401) {
    await askForKey();
    return request(method, path, body);
  }
  const text = await answer.text();
  let json = null;
  try {
    json = text === "" ? null : JSON.parse(text);
  } catch {
    // Not every refusal is JSON.
  }
  if (!answer.ok) throw new Error(json?.error ?? `${answer.status} ${text.slice(0, 200)}`);
  return json;
}

/**
 * Follows a stream for as long as the page is open, or until the function it returns is called. `onEvent` gets the data of
 * each event; `onLink` whether the stream is connected. A stream that does not exist ends with `onGone`.
 */
export function follow(path, { onEvent, onLink = () => {}, onGone = () => {} }) {
  const ending = new AbortController();
  let seen = null;
  let pause = FIRST_PAUSE;
  const run = async () => {
    while (!ending.signal.aborted) {
      try {
        const query = seen === null ? "" : `?seen=${encodeURIComponent(seen)}`;
        const answer = await fetch(path + query, { headers: headers(), signal: ending.signal });
        if (answer.status === 401) {
          await askForKey();
          continue;
        }
        if (answer.status === 404) return onGone();
        if (answer.ok) {
          onLink(true);
          pause = FIRST_PAUSE;
          await read(answer.body, (id, data) => {
            seen = id ?? seen;
            onEvent(data);
          });
        }
      } catch (problem) {
        if (ending.signal.aborted) return;
        if (!(problem instanceof TypeError || problem.name === "NetworkError" || problem.name === "AbortError")) {
          console.error(problem);
        }
      }
      onLink(false);
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  };
  run();
  return () => ending.abort();
}

async function read(body, onMessage) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pieces = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    // The end of a message is looked for in the new piece alone: a picture comes in many.
    const last = pieces.at(-1) ?? "";
    const joint = last.endsWith("\n") && value.startsWith("\n");
    pieces.push(value);
    if (!joint && !value.includes("\n\n")) continue;
    const messages = pieces.join("").split("\n\n");
    pieces = [messages.pop()];
    for (const message of messages) {
      const lines = message.split("\n");
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) onMessage(field("id") ?? null, JSON.parse(data));
    }
  }
}
