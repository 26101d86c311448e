"""A worker that speaks the protocol and does what its input says. ALIVE is a port to which it holds a connection open."""

import json
import os
import socket
import sys
import time
import urllib.request

if "ALIVE" in os.environ:
    alive = socket.create_connection(("127.0.0.1", int(os.environ["ALIVE"])))
    alive.sendall(b"up\n")

VERSION = "first"


def call(template, job="", body=None, query=""):
    url = os.environ[template].replace("$RUNPOD_POD_ID", os.environ["RUNPOD_POD_ID"])
    url = url.replace("$ID", job or os.environ["RUNPOD_POD_ID"])
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + query, data, {"Authorization": os.environ["RUNPOD_AI_API_KEY"]})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


while True:
    taken = call("RUNPOD_WEBHOOK_GET_JOB", query="&job_in_progress=0")
    if not taken:
        continue
    job = json.loads(taken)
    wish = job["input"]
    print(json.dumps({"requestId": job["id"], "message": "Started.", "level": "INFO"}), flush=True)
    if "say" in wish:
        print(wish["say"], flush=True)
    for done in wish.get("progress", []):
        call("RUNPOD_WEBHOOK_POST_OUTPUT", job["id"], {"status": "IN_PROGRESS", "output": done}, "&isStream=false")
    if "crash_unless" in wish and not os.path.exists(wish["crash_unless"]):
        open(wish["crash_unless"], "w").close()
        os._exit(3)
    if VERSION in wish.get("hang_in", []):
        time.sleep(3600)
    time.sleep(wish.get("sleep", 0))
    if "fail" in wish:
        result = {"error": wish["fail"]}
    else:
        names = wish.get("env", [])
        result = {"output": {"version": VERSION, "worker": os.environ["RUNPOD_POD_ID"],
                             "env": {name: os.environ.get(name) for name in names}}}
    call("RUNPOD_WEBHOOK_POST_OUTPUT", job["id"], result, "&isStream=false")
    if wish.get("leave"):
        sys.exit(0)
