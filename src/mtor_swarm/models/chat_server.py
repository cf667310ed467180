"""A model behind an HTTP server: asked by httpx, bounded in time and size, cancelled at once.

All requests run on one thread's event loop; whoever asks waits on its own thread.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.chat_wire import Dialect, Image, Said, Wanted, reason_in
from mtor_swarm.models.sse import EventStream

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
MAX_REPLY_BYTES = 4 << 20
"""Of a whole reply, streamed or not."""
CHECK_S = 0.1
"""So often it is seen whether an ask in work was cancelled: its Event cannot wake a loop."""
BUSY_S = 5.0
"""When to come back to a server that is busy and does not say."""
_BAD_QUESTION = {400, 413, 415, 422}
_BUSY = {429, 503, 529}


class ServerBusyError(ModelError):
    """The server wants to be asked later, in `retry_s` seconds."""

    def __init__(self, reason: str, retry_s: float) -> None:
        super().__init__(reason)
        self.retry_s = retry_s


class ChatServer:
    """One model on one server. From any thread."""

    def __init__(
        self, dialect: Dialect, *, url: str, model: str, key_variable: str = "", most: int = 4
    ) -> None:
        """`url` is what the dialect's path is put after; at most `most` requests at a time.

        `key_variable` names the environment variable that holds the key; none is sent if it is
        empty. ModelError if that is not set, or if the key would travel in the clear.
        """
        self._httpx = _library()
        self._dialect, self._model, self._key_variable = dialect, model, key_variable
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not model:
            raise ModelError(
                f"url {url!r}, model {model!r}: set both, as http://127.0.0.1:8080/v1 and a name "
                "that the server knows"
            )
        self._url = url.rstrip("/") + dialect.path
        key = _key(key_variable)
        local = _is_local(parts.hostname)
        if key and parts.scheme == "http" and not local:
            raise ModelError(f"{url}: the key in ${key_variable} would travel in the clear: https")
        self._loop = asyncio.new_event_loop()
        self._client = self._httpx.AsyncClient(
            headers={**dialect.headers(key), "accept-encoding": "identity"},
            timeout=self._httpx.Timeout(None, connect=CONNECT_S),
            limits=self._httpx.Limits(max_connections=most, max_keepalive_connections=most),
            trust_env=not local,  # a proxy knows nothing of this machine's own servers
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name=model, daemon=True)
        self._thread.start()

    def chat(
        self,
        wanted: Wanted,
        *,
        image: Image | None = None,
        left_s: float,
        cancelled: threading.Event,
        tell: Callable[[str], None] | None = None,
    ) -> Said:
        """The whole answer; `tell` gets it piece by piece before, on the loop's thread.

        AskError if the server finds the question bad, or it was cancelled; ModelError for all
        else, a ServerBusyError or that `left_s` are over among it.
        """
        work = self._chat(wanted, image, cancelled, tell)
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, left_s), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ModelError(f"{self._url}: unloaded while it was asked") from None
        except (asyncio.TimeoutError, TimeoutError):
            raise ModelError(f"{self._url}: no answer within {left_s:.1f} s") from None
        except self._httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise ModelError(f"{self._url}: {said}: is the server up?") from None

    def close(self) -> None:
        """End what is under way and let go of all connections; nothing may be asked after."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # On the loop.

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _chat(
        self,
        wanted: Wanted,
        image: Image | None,
        cancelled: threading.Event,
        tell: Callable[[str], None] | None,
    ) -> Said:
        """The request as a task, ended when its ask is cancelled."""
        body = self._dialect.body(self._model, wanted, image)
        task = asyncio.ensure_future(self._request(body, tell))
        try:
            while not task.done():
                if cancelled.is_set():
                    raise AskError("cancelled")
                await asyncio.wait([task], timeout=CHECK_S)
            return task.result()
        finally:
            task.cancel()

    async def _request(self, body: dict[str, Any], tell: Callable[[str], None] | None) -> Said:
        body["stream"] = tell is not None
        async with self._client.stream("POST", self._url, json=body) as response:
            try:
                if response.status_code != 200:
                    raise self._refusal(response, await _whole(response))
                if tell is None:
                    return self._dialect.whole(await _whole(response))
                return await self._streamed(response, tell)
            except ModelError as error:
                error.args = (f"{self._url}: {error}",)
                raise

    async def _streamed(self, response: httpx.Response, tell: Callable[[str], None]) -> Said:
        stream, texts, end = EventStream(), list[str](), Said()
        async for raw in _read(response):
            for _, data in stream.feed(raw):
                piece = self._dialect.piece(data)
                if piece.text:
                    texts.append(piece.text)
                    tell(piece.text)
                end = Said(
                    finish=piece.finish or end.finish,
                    tokens_in=piece.tokens_in or end.tokens_in,
                    tokens_out=piece.tokens_out or end.tokens_out,
                )
                if piece.last:
                    return msgspec.structs.replace(end, text="".join(texts), last=True)
        raise ModelError(f"the answer broke off after {sum(map(len, texts))} characters")

    def _refusal(self, response: httpx.Response, raw: bytes) -> Exception:
        """What the status means (RFC 9110, 15)."""
        status = response.status_code
        told = f"{status}: {reason_in(raw)}"
        if status in _BAD_QUESTION:
            return AskError(f"{self._url}: {told}")
        if status in _BUSY:
            return ServerBusyError(told, _seconds(response.headers.get("retry-after", "")))
        if status in {401, 403}:
            which = f"the key in ${self._key_variable}" if self._key_variable else "no key"
            told += f": it wants another key than {which}: see the parameter key_variable"
        if 300 <= status < 400:
            where = response.headers.get("location", "elsewhere")[:300]
            told = f"{status}: it sends us to {where}: set the parameter url to that"
        return ModelError(told)


def _library() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise ModelError(
            f"a chat server is asked by httpx ({error}): pip install 'mtor_swarm[ai]'"
        ) from error
    return httpx


async def _whole(response: httpx.Response) -> bytes:
    return b"".join([each async for each in _read(response)])


async def _read(response: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they come; ModelError if they are too many."""
    size = 0
    async for raw in response.aiter_raw():
        size += len(raw)
        if size > MAX_REPLY_BYTES:
            raise ModelError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        yield raw


def _seconds(text: str) -> float:
    """Retry-After as seconds (RFC 9110, 10.2.3); of a date as much as of nothing."""
    return min(float(text), 86400.0) if text.isascii() and text.isdigit() else BUSY_S


def _key(variable: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(f"the environment variable {variable} is not set: it should hold the key")
    if not (key.isascii() and key.isprintable()):
        raise ModelError(f"what the environment variable {variable} holds is no key")
    return key


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
