"""A local HTTP server that speaks both chat protocols, well or badly, as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
PIECES = ["Stop", " at", " once", " \u2713"]
KEY = "a-key-that-is-right"


class Host:
    """Answers each question with PIECES; `misbehave` takes its place, `seen` has the requests.

    `gone` is released when a client leaves in the middle of a stream.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Body]] = []
        self.misbehave: Callable[[Request], None] | None = None
        self.gone = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Request,), {}))
        self._server.daemon_threads = True
        self._server.RequestHandlerClass.host = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Request(BaseHTTPRequestHandler):
    """One question."""

    host: Host
    body: Body
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.host.seen.append((self.path, headers, self.body))
        try:
            if self.host.misbehave is not None:
                self.host.misbehave(self)
            elif self.path.endswith("/chat/completions"):
                self._openai(headers)
            elif self.path.endswith("/messages"):
                self._anthropic(headers)
            else:
                self.send_whole(b"nothing here", 404)
        except OSError:
            self.close_connection = True
            self.host.gone.release()

    def send_whole(self, raw: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def send_stream(self, chunks: Iterator[bytes]) -> None:
        """Chunks (RFC 9112, 7.1); without the last one if the iterator raises."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for each in chunks:
            self.wfile.write(f"{len(each):x}\r\n".encode() + each + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def events(self, *said: Body) -> Iterator[bytes]:
        for each in said:
            name = f"event: {each['type']}\n" if "type" in each else ""
            yield f"{name}data: {json.dumps(each)}\n\n".encode()

    def _openai(self, headers: dict[str, str]) -> None:
        if headers.get("authorization") != f"Bearer {KEY}":
            return self._error(401, "Incorrect API key provided")
        usage = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
        if not self.body["stream"]:
            message = {"role": "assistant", "content": "".join(PIECES)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return self.send_whole(json.dumps({"choices": [choice], "usage": usage}).encode())
        deltas = [{"role": "assistant", "content": ""}, *({"content": each} for each in PIECES)]
        said: list[Body] = [
            {"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas
        ]
        said.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        said.append({"choices": [], "usage": usage})
        return self.send_stream(iter([*self.events(*said), b"data: [DONE]\n\n"]))

    def _anthropic(self, headers: dict[str, str]) -> None:
        if headers.get("x-api-key") != KEY or headers.get("anthropic-version") != "2023-06-01":
            return self._error(401, "invalid x-api-key")
        if "max_tokens" not in self.body:
            return self._error(400, "max_tokens: Field required")
        if not self.body["stream"]:
            content = [{"type": "text", "text": each} for each in PIECES]
            usage = {"input_tokens": 7, "output_tokens": 4}
            found = {"type": "message", "content": content, "stop_reason": "end_turn"}
            return self.send_whole(json.dumps({**found, "usage": usage}).encode())
        deltas: list[Body] = [
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": each}}
            for each in PIECES
        ]
        return self.send_stream(
            self.events(
                {"type": "message_start", "message": {"usage": {"input_tokens": 7}}},
                {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
                {"type": "ping"},
                *deltas,
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 4},
                },
                {"type": "message_stop"},
            )
        )

    def _error(self, status: int, message: str) -> None:
        self.send_whole(json.dumps({"error": {"message": message}}).encode(), status)
