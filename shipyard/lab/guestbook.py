"""The web front end of the guestbook example. Runs alone in a container: nothing of shipyard imports it, or is there.

Writes go to the redis leader, reads to a follower, where each is expected by the environment:
LEADER and FOLLOWER (host:port), PORT to serve on, TITLE of the page.
"""

from __future__ import annotations

import html
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qs

KEY = "guestbook"
MAX_MESSAGE = 500
TIMEOUT = 3.0
PAGE = """<!doctype html>
<meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1>
<form method="post"><input name="message" maxlength="500" autofocus> <button>Sign</button></form>
<ul>
{messages}
</ul>
<p>served by {host}, read from {follower}</p>
"""


class RedisError(Exception):
    """Redis could not be reached, or said no."""


def encode(*words: str) -> bytes:
    """A command in redis's protocol."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def decode(stream: BinaryIO) -> str | int | list[object] | None:
    """One reply. Raises RedisError on an error, and where the reply ends early."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise RedisError("redis closed the connection")
    kind, rest = line[:1], line[1:-2].decode(errors="replace")
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else stream.read(size + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return [decode(stream) for _ in range(int(rest))]
    raise RedisError(rest)


def ask(server: str, *words: str) -> str | int | list[object] | None:
    """Send one command to `host:port`, over a connection of its own. Raises RedisError."""
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as link, link.makefile("rb") as stream:
            link.sendall(encode(*words))
            return decode(stream)
    except (OSError, ValueError) as error:
        raise RedisError(f"{server}: {error}") from error


def page(messages: list[object], title: str, host: str, follower: str) -> str:
    """The guestbook. What guests wrote is shown as text."""
    items = "\n".join(f"<li>{html.escape(str(message))}</li>" for message in messages)
    fields = {"title": title, "host": host, "follower": follower}
    return PAGE.format(messages=items, **{name: html.escape(value) for name, value in fields.items()})


class Handler(BaseHTTPRequestHandler):
    """GET / shows the book, POST / signs it, GET /healthz says that this process serves."""

    leader = os.environ.get("LEADER", "127.0.0.1:6379")
    follower = os.environ.get("FOLLOWER", leader)
    title = os.environ.get("TITLE", "Guestbook")

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, "ok\n", "text/plain")
            return
        if self.path != "/":
            self._answer(404, "there is only one page\n", "text/plain")
            return
        try:
            messages = ask(self.follower, "LRANGE", KEY, "0", "99")
        except RedisError as error:
            self._answer(503, f"the guestbook can't be read: {error}\n", "text/plain")
            return
        found = messages if isinstance(messages, list) else []
        self._answer(200, page(found, self.title, socket.gethostname(), self.follower), "text/html")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        form = parse_qs(self.rfile.read(min(size, 8 * MAX_MESSAGE)).decode(errors="replace"))
        message = form.get("message", [""])[0].strip()[:MAX_MESSAGE]
        try:
            if message:
                ask(self.leader, "LPUSH", KEY, message)
        except RedisError as error:
            self._answer(503, f"the guestbook can't be written: {error}\n", "text/plain")
            return
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until told to stop. As the first process of a container, nothing ends us unless we say so."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ.get("PORT", "8080"))
    print(f"serving on port {port}, writing to {Handler.leader}, reading from {Handler.follower}", flush=True)
    ThreadingHTTPServer(("", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
