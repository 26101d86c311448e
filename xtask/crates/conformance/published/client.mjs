// The published JavaScript client, `runpod-sdk`, driven through the table of cases.
//
// Reads and prints what `client_sync.py` does.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are not installed beside this file.
const require = createRequire(`${process.env.CONFORMANCE_PACKAGES}/package.json`);
const { default: runpodSdk } = await import(pathToFileURL(require.resolve("runpod-sdk")).href);

const POLL_MS = 50;
const LIMIT_MS = 30_000;
// Long enough for a busy machine, short enough to be waited for.
const SHORT_WAIT_MS = 2_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// One case: what the steps of the table mean to this client.
class Steps {
  constructor(testCase) {
    this.request = { input: testCase.input };
    this.timeout = testCase.short_wait ? SHORT_WAIT_MS : LIMIT_MS;
    const sdk = runpodSdk(testCase.key, { baseUrl: process.env.RUNPOD_ENDPOINT_BASE_URL });
    this.endpoint = sdk.endpoint(testCase.endpoint);
  }

  async run() {
    const answer = await this.endpoint.run(this.request);
    this.job = answer.id;
    return answer;
  }

  run_sync() {
    return this.endpoint.runSync(this.request, this.timeout);
  }

  // The client has no such call: one polls `status`.
  async output() {
    return this.statusWhen((answer) => answer.completed);
  }

  status() {
    return this.endpoint.status(this.job);
  }

  async stream() {
    const chunks = [];
    for await (const chunk of this.endpoint.stream(this.job)) chunks.push(chunk);
    return chunks;
  }

  cancel() {
    return this.endpoint.cancel(this.job);
  }

  health() {
    return this.endpoint.health();
  }

  purge() {
    return this.endpoint.purgeQueue();
  }

  // Asks for the status until it is the wanted one.
  async until(wanted) {
    return (await this.statusWhen((answer) => answer.status === wanted)).status;
  }

  // Asks for the status of the unfinished job until it shows an output.
  async progress() {
    return this.statusWhen((answer) => answer.output !== undefined);
  }

  // Makes the handle of a job that this client did not submit.
  know(id) {
    this.job = id;
    return id;
  }

  async statusWhen(wanted) {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const answer = await this.endpoint.status(this.job);
      if (wanted(answer)) return answer;
      if (Date.now() > deadline) throw new Error(`the job is still ${answer.status}`);
      await pause(POLL_MS);
    }
  }
}

async function play(testCase) {
  const steps = new Steps(testCase);
  const returned = [];
  for (const step of testCase.steps) {
    const [name, ...rest] = step.split(" ");
    try {
      returned.push(await steps[name](...rest));
    } catch (error) {
      // Whatever it is, the table says what it should be.
      returned.push({ threw: error.name, message: error.message, status: error.response?.status });
      break;
    }
  }
  console.log(JSON.stringify({ case: testCase.case, returned }));
}

const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
await Promise.all(cases.map(play));
