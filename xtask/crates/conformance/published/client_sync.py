"""The published Python client, `runpod.Endpoint`, driven through the table of cases.

Reads the cases from the file named on the command line and prints one JSON line for each:
`{"case": NAME, "returned": [what each step returned or threw]}`.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import runpod
from runpod.endpoint.runner import Job

POLL = 0.05
LIMIT = 30
ONE_LINE_AT_A_TIME = threading.Lock()


class Steps:
    """One case: what the steps of the table mean to this client."""

    def __init__(self, case):
        self.input = case["input"]
        self.endpoint = runpod.Endpoint(case["endpoint"], api_key=case["key"])
        self.job = None

    def run(self):
        self.job = self.endpoint.run(self.input)
        return self.job.job_id

    def run_sync(self):
        return self.endpoint.run_sync(self.input, timeout=LIMIT)

    def output(self):
        return self.job.output(timeout=LIMIT)

    def status(self):
        return self.job.status()

    def stream(self):
        return list(self.job.stream())

    def cancel(self):
        return self.job.cancel()

    def health(self):
        return self.endpoint.health()

    def purge(self):
        return self.endpoint.purge_queue()

    def until(self, wanted):
        """Asks for the status until it is the wanted one."""
        deadline = time.monotonic() + LIMIT
        while (status := self.job.status()) != wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job is {status}, not {wanted}")
            time.sleep(POLL)
        return status

    def progress(self):
        """Asks for the output of the unfinished job until there is one."""
        deadline = time.monotonic() + LIMIT
        while (output := self.job.output()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("the job shows no progress")
            time.sleep(POLL)
        return output

    def know(self, job_id):
        """Makes the handle of a job that this client did not submit."""
        self.job = Job(self.endpoint.endpoint_id, job_id, self.endpoint.rp_client)
        return job_id


def play(case):
    steps = Steps(case)
    returned = []
    for step in case["steps"]:
        name, *arguments = step.split()
        try:
            returned.append(getattr(steps, name)(*arguments))
        except Exception as error:  # whatever it is, the table says what it should be
            returned.append({"threw": type(error).__name__, "message": str(error)})
            break
    line = json.dumps({"case": case["case"], "returned": returned})
    with ONE_LINE_AT_A_TIME:
        print(line, flush=True)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    with ThreadPoolExecutor(max_workers=len(cases)) as pool:
        for done in [pool.submit(play, case) for case in cases]:
            done.result()


main()
