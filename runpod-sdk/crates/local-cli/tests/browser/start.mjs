// Starting what the tests look at: programs, a browser, pages.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

/** The folder in which the packages of package.json are installed. */
const packages = createRequire(`${required("BROWSER_PACKAGES")}/`);
const { chromium } = packages("playwright-core");
export const axe = packages("axe-core").source;

/** Milliseconds after which nothing that a test waits for can still come. */
export const LIMIT = 20_000;

export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run: cargo xtask console-test`);
  return value;
}

/** Starts a program and waits for the line in which it says where it listens. */
async function start(program, args, url) {
  const { RUNPOD_API_KEY: _, ...env } = process.env;
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  child.stderr.on("data", (text) => said.push(text));
  const lines = createInterface({ input: child.stdout });
  const found = new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      said.push(`${line}\n`);
      const found = url(line);
      if (found) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`${program} ended (${code}):\n${said.join("")}`)));
  });
  const stop = () =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.on("exit", resolve);
      child.kill("SIGTERM");
    });
  return { url: await found, stop };
}

/** A mock of the WebUI that needs `step` milliseconds for a step. */
export function startWebUi(step) {
  const args = ["--listen", "127.0.0.1:0", "--step-ms", String(step)];
  return start(required("MOCK_WEBUI"), args, (line) => line.match(/^mock-webui listening on (.*)/)?.[1]);
}

/** `runpod-local` on a free port; `worker` is the command of its workers. */
export function startLocal(options, worker = []) {
  const args = ["--listen", "127.0.0.1:0", "--json", ...options, ...(worker.length > 0 ? ["--", ...worker] : [])];
  return start(required("RUNPOD_LOCAL"), args, (line) => JSON.parse(line).url);
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      // In a container as root there is no sandbox to be had; the pages are our own.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page whose errors fail the test. */
export async function openPage(browser, url, { width = 1280, height = 860, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  page.problems = [];
  page.on("pageerror", (problem) => page.problems.push(problem.message));
  page.on("dialog", (dialog) => {
    page.problems.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(message.text());
  });
  await page.goto(url);
  await page.locator('#link[data-on="true"]').waitFor();
  return page;
}

/** A call of the API, as clients and workers make it. */
export async function call(method, url, body) {
  const answer = await fetch(url, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  return text === "" ? null : JSON.parse(text);
}
