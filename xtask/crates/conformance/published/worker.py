"""The published Python worker with the handlers of the workers' table.

The first argument names the handler. What a handler does stands in its job's input:
`progress` is reported, at a `gate` it waits to be let on, `raise` is raised, `return` returned, `yield` yielded one by
one; `refresh` asks for a fresh worker.
"""

import asyncio
import os
import socket
import sys

import runpod


def gate_address():
    host, port = os.environ["CONFORMANCE_GATE"].split(":")
    return host, int(port)


def hello(job):
    return f"{job['id']}\n".encode()


def wait_at_gate(job):
    with socket.create_connection(gate_address()) as connection:
        connection.sendall(hello(job))
        connection.recv(1)


async def wait_at_gate_async(job):
    reader, writer = await asyncio.open_connection(*gate_address())
    try:
        writer.write(hello(job))
        await reader.read(1)
    finally:
        writer.close()


def begin(job):
    order = job["input"]
    if "progress" in order:
        runpod.serverless.progress_update(job, order["progress"])
    return order


def end(order):
    if "raise" in order:
        raise ValueError(order["raise"])
    if order.get("refresh"):
        return {**order["return"], "refresh_worker": True}
    return order["return"]


def plain(job):
    order = begin(job)
    if order.get("gate"):
        wait_at_gate(job)
    return end(order)


async def asynchronous(job):
    order = begin(job)
    if order.get("gate"):
        await wait_at_gate_async(job)
    return end(order)


def generator(job):
    order = begin(job)
    yield from order["yield"]
    if "raise" in order:
        raise ValueError(order["raise"])


async def async_generator(job):
    for chunk in generator(job):
        yield chunk


def weights():
    raise ValueError("the model is not there")


def unfit():
    runpod.serverless.register_fitness_check(weights)
    return {"handler": plain}


CONFIGS = {
    "plain": lambda: {"handler": plain},
    "async": lambda: {"handler": asynchronous},
    "generator": lambda: {"handler": generator},
    "async-generator": lambda: {"handler": async_generator},
    "aggregate": lambda: {"handler": generator, "return_aggregate_stream": True},
    "async-aggregate": lambda: {"handler": async_generator, "return_aggregate_stream": True},
    "concurrent": lambda: {"handler": asynchronous, "concurrency_modifier": lambda current: 2},
    "refresh": lambda: {"handler": plain, "refresh_worker": True},
    "unfit": unfit,
}

if __name__ == "__main__":
    runpod.serverless.start(CONFIGS[sys.argv[1]]())
