// The console in a headless browser, with sd-worker and a mock of the WebUI behind it. Run by `cargo xtask console-test`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { axe, call, openPage, required, startBrowser, startLocal, startWebUi } from "./start.mjs";

let browser;
let webui;
/** With sd-worker. */
let local;
/** Without any worker. */
let bare;

before(async () => {
  webui = await startWebUi(30);
  const worker = [required("SD_WORKER"), "--webui-url", webui.url, "--progress-interval", "100ms"];
  [local, bare, browser] = await Promise.all([startLocal(["--endpoint", "painter"], worker), startLocal([]), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await Promise.all([local?.stop(), bare?.stop()]);
  await webui?.stop();
});

/** Opens a page, does something with it, and wants that the page had no trouble. */
async function withPage(platform, hash, options, action) {
  const page = await openPage(browser, platform.url + hash, options);
  try {
    await action(page);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.context().close();
  }
}

async function submit(page, input) {
  await page.keyboard.press("n");
  await page.locator("#raw").fill(JSON.stringify(input));
  await page.keyboard.press("Control+Enter");
  await page.locator("article.job .actions").waitFor();
}

const state = (page) => page.locator(".job-head .pill");

test("a job is submitted, shows its progress and its picture, and is replayed", async () => {
  await withPage(local, "/", {}, async (page) => {
    await submit(page, { prompt: "a lighthouse in a storm", steps: 40, seed: 7 });
    await page.locator('[role="progressbar"][aria-valuenow]').waitFor();
    await page.getByText(/step \d+ of 40/).waitFor();
    await state(page).getByText("completed").waitFor();
    const picture = page.locator("figure.picture img");
    await picture.waitFor();
    await page.waitForFunction(() => document.querySelector("figure.picture img").naturalWidth === 512);
    const parameters = await page.locator(".parameters dl").innerText();
    assert.match(parameters, /Prompt\s+a lighthouse in a storm/);
    assert.match(parameters, /Steps\s+40/);
    await page.getByText("inference finished").waitFor();
    assert.match(await page.locator(".log").innerText(), /Started\.[^]*Finished\./);

    const first = page.url();
    await page.locator(".job-head").click();
    await page.keyboard.press("r");
    await page.waitForURL((url) => url.href !== first);
    await state(page).getByText("completed").waitFor();
    await picture.waitFor();
    assert.equal(await page.locator(".row").count(), 2);
  });
});

test("a job that runs is cancelled", async () => {
  await withPage(local, "/", {}, async (page) => {
    await submit(page, { prompt: "a very slow picture", steps: 1000 });
    await state(page).getByText("running").waitFor();
    await page.locator(".job-head").click();
    await page.keyboard.press("c");
    await state(page).getByText("cancelled").waitFor();
  });
});

test("a refused result arrives in the end, and a killed worker's job is done by the next one", async () => {
  await withPage(local, "/#/faults", {}, async (page) => {
    const card = page.getByRole("form", { name: "Refuse a result" });
    await card.getByLabel("Times").fill("2");
    await card.getByRole("button", { name: "Switch on" }).click();
    await page.getByText("refuse-result:500*2").waitFor();
    await submit(page, { prompt: "refused twice", steps: 2 });
    await state(page).getByText("completed").waitFor();
    await page.keyboard.press("3");
    await page.getByText("spent: struck 2 times").waitFor();
    await page.getByRole("button", { name: "Remove refuse-result:500*2" }).click();
    await page.getByText("None: the platform works as it should.").waitFor();

    await submit(page, { prompt: "survives a kill", steps: 60 });
    await state(page).getByText("running").waitFor();
    const job = page.url();
    await page.getByRole("link", { name: "Workers", exact: true }).click();
    await page.getByRole("button", { name: "Kill" }).click();
    await page.goto(job);
    await page.getByText("In the queue again: worker lost").waitFor();
    await state(page).getByText("completed").waitFor();
    await page.locator("figure.picture img").waitFor();
  });
});

test("an error shows what failed and what helps, and is folded", async () => {
  await withPage(local, "/", {}, async (page) => {
    await submit(page, { prompt: "a cat", stepz: 3, steps: 0 });
    await state(page).getByText("failed").waitFor();
    await page.locator(".error-message").waitFor();
    for (const details of await page.locator(".job details:not(.parameters)").all()) {
      assert.equal(await details.getAttribute("open"), null);
    }
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("In the queue again").waitFor();
    await state(page).getByText("failed").waitFor();
  });
});

test("a webhook comes to the inbox", async () => {
  await withPage(local, "/#/new", {}, async (page) => {
    await page.getByLabel("Webhook to the inbox here").check();
    await page.locator("#raw").fill(JSON.stringify({ prompt: "hooked", steps: 1 }));
    await page.getByRole("button", { name: "Submit" }).click();
    await state(page).getByText("completed").waitFor();
    await page.keyboard.press("4");
    await page.locator(".webhook summary").first().click();
    await page.getByText('"prompt": "hooked"').first().waitFor();
  });
});

test("a test case holds the input and how the job ended", async () => {
  await withPage(local, "/", {}, async (page) => {
    await submit(page, { prompt: "kept", steps: 1 });
    await state(page).getByText("completed").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as test case" }).click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    const saved = JSON.parse(Buffer.concat(chunks).toString());
    assert.deepEqual(saved.input, { prompt: "kept", steps: 1 });
    assert.deepEqual(saved.expect, { status: "COMPLETED" });
  });
});

/** Texts that would run if any of them were taken for markup. */
const HOSTILE = [
  "<img src=x onerror=\"window.stung=1\">",
  "</script><script>window.stung=1</script>",
  "\"><svg onload=window.stung=1>",
  "javascript:window.stung=1",
  "${window.stung=1}{{constructor.constructor('window.stung=1')()}}",
];

test("no data of a job can become a script", async () => {
  const api = `${bare.url}/v2/local`;
  const worker = "<img src=x onerror=window.stung=1>";
  const ids = [];
  for (const text of HOSTILE) {
    const { id } = await call("POST", `${api}/run`, { input: { prompt: text, [text]: text }, webhook: `${bare.url}/console/inbox` });
    ids.push(id);
    await call("GET", `${api}/job-take/${encodeURIComponent(worker)}?job_in_progress=0`);
    const done = `${api}/job-done/${encodeURIComponent(worker)}/${id}?isStream=false`;
    await call("POST", done, { status: "IN_PROGRESS", output: { percent: 10, phase: text } });
    await call("POST", `${api}/job-stream/${encodeURIComponent(worker)}/${id}?isStream=true`, { output: text });
    const svg = `data:image/svg+xml;base64,${Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="window.stung=1"/>').toString("base64")}`;
    const png = `iVBORw0KGgo${Buffer.from(text.repeat(9)).toString("base64").replace(/=/g, "")}`;
    const error = JSON.stringify({ error_type: text, error_message: text, error_traceback: text, hint: text, code: text, log_tail: [text] });
    await call("POST", done, ids.length % 2 ? { output: { [text]: text, svg, png, file: `../../${text}.png` } } : { error });
    await call("POST", done, { output: "late: against the protocol" });
  }
  const views = ["/", "/#/workers", `/#/workers/${encodeURIComponent(worker)}`, "/#/faults", "/#/inbox", "/#/cost", ...ids.map((id) => `/#/jobs/${id}`)];
  for (const view of views) {
    const page = await openPage(browser, bare.url + view);
    try {
      if (view.includes("/jobs/")) await page.getByRole("heading", { name: "Input" }).waitFor();
      if (view.includes("inbox")) await page.locator(".webhook").first().waitFor();
      for (const details of await page.locator("details").all()) await details.evaluate((element) => (element.open = true));
      // Whatever was put into the page has been laid out after two frames.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      assert.equal(await page.evaluate(() => window.stung), undefined, view);
      const foreign = await page.evaluate(() => [...document.querySelectorAll("main script, main img:not([src^='blob:']), main svg, main iframe, a[href^='javascript:' i]")].map((element) => element.outerHTML));
      assert.deepEqual(foreign, [], view);
      assert.deepEqual(page.problems, [], view);
    } finally {
      await page.context().close();
    }
  }
});

test("another site's page cannot read the console or frame it", async () => {
  const page = await openPage(browser, bare.url);
  const answer = await fetch(bare.url);
  assert.match(answer.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  const foreign = await fetch(`${bare.url}/console/api/events`, { headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" } });
  assert.equal(foreign.status, 403);
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [400, 1280]) {
    test(`every view is accessible and fits, ${colorScheme}, ${width} px`, async () => {
      const job = await call("POST", `${local.url}/v2/painter/runsync`, { input: { prompt: "accessible", steps: 2 } });
      const failed = await call("POST", `${local.url}/v2/painter/runsync`, { input: { prompt: "a cat", steps: 0 } });
      const views = ["/", "/#/new", `/#/jobs/${job.id}`, `/#/jobs/${failed.id}`, "/#/workers", "/#/workers/worker-1", "/#/faults", "/#/inbox", "/#/cost"];
      await withPage(local, "/", { colorScheme, width }, async (page) => {
        for (const view of views) {
          await page.goto(local.url + view);
          await page.locator("main h1:visible").first().waitFor();
          if (view.includes("/jobs/")) await page.getByRole("heading", { name: "Input" }).waitFor();
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(wide <= width, `${view} is ${wide} px wide`);
          // Not as a script element: the page's policy forbids those.
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => window.axe.run());
          const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
          assert.deepEqual(found, [], view);
        }
      });
    });
  }
}

test("ten thousand jobs scroll and are filtered in less than 50 ms", async (t) => {
  const many = await startLocal([]);
  try {
    const send = async (from) => {
      for (let number = from; number < 10_000; number += 16) {
        await call("POST", `${many.url}/v2/local/run`, { input: { prompt: `picture ${number} of ${number % 7 ? "a dog" : "a cat"}` } });
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, from) => send(from)));
    await withPage(many, "/", {}, async (page) => {
      await page.getByText("10000 jobs").waitFor();
      assert.ok((await page.locator(".row").count()) < 60, "only what is on the screen exists");
      const times = await page.evaluate(async () => {
        const rows = document.querySelector(".rows");
        const timed = (action) => {
          const begun = performance.now();
          action();
          // Reading a position makes the browser lay the page out.
          rows.getBoundingClientRect();
          rows.lastElementChild.getBoundingClientRect();
          return performance.now() - begun;
        };
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        const [scrolls, filters] = [[], []];
        for (let step = 1; step <= 30; step++) {
          scrolls.push(timed(() => {
            rows.scrollTop = (step * rows.scrollHeight) / 31;
            rows.dispatchEvent(new Event("scroll"));
          }));
          await frame();
        }
        const search = document.querySelector("input[type=search]");
        for (const text of ["c", "ca", "cat", "cat ", "", "picture 9", "picture 99", "nothing fits", "dog", ""]) {
          search.value = text;
          filters.push(timed(() => search.dispatchEvent(new Event("input"))));
          await frame();
        }
        return { scroll: Math.max(...scrolls), filter: Math.max(...filters) };
      });
      t.diagnostic(`slowest scroll ${times.scroll.toFixed(1)} ms, slowest filter ${times.filter.toFixed(1)} ms`);
      assert.ok(times.scroll < 50 && times.filter < 50, JSON.stringify(times));
      await page.getByLabel("Filter jobs").fill("picture 77 of a cat");
      await page.getByText("1 of 10000 jobs").waitFor();
    });
  } finally {
    await many.stop();
  }
});

test("the picture of the README", { skip: !process.env.UPDATE_DOCS && "UPDATE_DOCS is not set" }, async () => {
  const worker = [required("SD_WORKER"), "--webui-url", webui.url, "--progress-interval", "100ms"];
  const fresh = await startLocal(["--endpoint", "painter", "--workers-min", "2"], worker);
  try {
    const prompts = ["a fox in the snow", "a city of glass, isometric", "an astronaut's garden", "two owls, woodcut"];
    const jobs = prompts.map((prompt, seed) => call("POST", `${fresh.url}/v2/painter/runsync`, { input: { prompt, seed, steps: seed === 2 ? 0 : 12 } }));
    await Promise.all(jobs);
    await withPage(fresh, "/", { width: 1280, height: 900 }, async (page) => {
      await submit(page, { prompt: "a lighthouse in a storm, oil painting", negative_prompt: "blurry", steps: 20, seed: 7 });
      await page.locator("figure.picture img").waitFor();
      await page.getByText("inference finished").waitFor();
      await page.screenshot({ path: `${required("PICTURES")}/runpod-local.png` });
    });
  } finally {
    await fresh.stop();
  }
});
