"""The published asyncio client, `runpod.AsyncioEndpoint`, driven through the table of cases.

Reads and prints what `client_sync.py` does.
"""

import asyncio
import json
import sys
import time

from runpod import AsyncioEndpoint, AsyncioJob
from runpod.http_client import AsyncClientSession

POLL = 0.05
LIMIT = 30


class Steps:
    """One case: what the steps of the table mean to this client."""

    def __init__(self, case, session):
        self.input = case["input"]
        self.session = session
        self.endpoint = AsyncioEndpoint(case["endpoint"], session, api_key=case["key"])
        self.job = None

    async def run(self):
        self.job = await self.endpoint.run(self.input)
        return self.job.job_id

    async def output(self):
        return await self.job.output(timeout=LIMIT)

    async def status(self):
        return await self.job.status()

    async def stream(self):
        return [chunk async for chunk in self.job.stream()]

    async def cancel(self):
        return await self.job.cancel()

    async def health(self):
        return await self.endpoint.health()

    async def purge(self):
        return await self.endpoint.purge_queue()

    async def until(self, wanted):
        """Asks for the status until it is the wanted one."""
        deadline = time.monotonic() + LIMIT
        while (status := await self.job.status()) != wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job is {status}, not {wanted}")
            await asyncio.sleep(POLL)
        return status

    async def know(self, job_id):
        """Makes the handle of a job that this client did not submit."""
        self.job = AsyncioJob(
            self.endpoint.endpoint_id, job_id, self.session, self.endpoint.headers
        )
        return job_id


async def play(case, session):
    steps = Steps(case, session)
    returned = []
    for step in case["steps"]:
        name, *arguments = step.split()
        try:
            returned.append(await getattr(steps, name)(*arguments))
        except Exception as error:  # whatever it is, the table says what it should be
            returned.append({"threw": type(error).__name__, "message": str(error)})
            break
    print(json.dumps({"case": case["case"], "returned": returned}), flush=True)


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    async with AsyncClientSession() as session:
        await asyncio.gather(*(play(case, session) for case in cases))


asyncio.run(main())
