"""A stand-in for vLLM's server, run as a child by the tests of how bcli starts, watches and stops one.

It takes the arguments that matter, writes what vLLM's log would say, starts an "engine" process of its own as vLLM
does, and answers /health, /v1/models and /v1/completions. FAKE_VLLM holds how it misbehaves, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BEHAVIOUR: dict[str, Any] = json.loads(os.environ.get("FAKE_VLLM", "{}"))


def value(flag: str) -> str:
    return sys.argv[sys.argv.index(flag) + 1]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": [{"id": value("--served-model-name")}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = os.environ.get("VLLM_API_KEY")
        if body.get("prompt") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if key and self.headers["Authorization"] != f"Bearer {key}":
            self.reply(401, {"error": "Unauthorized"})
        elif BEHAVIOUR.get("die_at_first_answer"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif BEHAVIOUR.get("answer_status"):
            self.reply(BEHAVIOUR["answer_status"], {"error": {"message": "no such thing"}})
        else:
            time.sleep(BEHAVIOUR.get("answer_seconds", 0))
            self.reply(200, {"model": body["model"], "choices": [{"text": str(os.getpid())}]})
            if "crash_after_answer" in BEHAVIOUR:
                print("RuntimeError: Engine core died", flush=True)
                os._exit(BEHAVIOUR["crash_after_answer"])

    def reply(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    engine = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"])
    if record := os.environ.get("FAKE_VLLM_RECORD"):
        seen = {"argv": sys.argv[1:], "environment": dict(os.environ), "pids": [os.getpid(), engine.pid]}
        with Path(record).open("a") as file:
            file.write(json.dumps(seen) + "\n")
    for line in BEHAVIOUR.get("log", ["INFO Starting to load model /models/demo..."]):
        print(line, flush=True)
    if "exit" in BEHAVIOUR:
        os._exit(BEHAVIOUR["exit"])
    if BEHAVIOUR.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while BEHAVIOUR.get("hang"):
        time.sleep(1)
    ThreadingHTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
