"""What is said to a chat server and what it says: the OpenAI and the Anthropic way. Pure.

OpenAI's is the Chat Completions API, which llama.cpp, vLLM, Ollama and others speak too;
Anthropic's is the Messages API of version 2023-06-01.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from mtor_swarm.errors import ModelError

ANTHROPIC_VERSION = "2023-06-01"


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one side said."""

    role: Literal["system", "user", "assistant"]
    content: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question to a chat server, as a JSON ask has it."""

    messages: Annotated[list[Turn], Meta(min_length=1, max_length=256)]
    system: str = ""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


class Image(msgspec.Struct, frozen=True):
    """A picture that the last turn speaks of; `kind` is its media type."""

    kind: str
    raw: bytes

    @property
    def base64(self) -> str:
        """The bytes as JSON can hold them."""
        return base64.b64encode(self.raw).decode()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer or a piece of it; `finish` is `stop`, `length` (cut short), the server's word."""

    text: str = ""
    finish: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    last: bool = False
    """Whether the stream ends here."""


class Dialect(Protocol):
    """How one kind of server is spoken to."""

    path: str

    def headers(self, key: str) -> dict[str, str]:
        """What goes with every request; no key if it is empty."""

    def body(self, model: str, wanted: Wanted, image: Image | None) -> dict[str, Any]:
        """The request, without `stream`."""

    def whole(self, raw: bytes) -> Said:
        """The answer in a body of JSON; ModelError if there is none."""

    def piece(self, data: bytes) -> Said:
        """A piece of it in an event's data; ModelError if it is not, or tells of an error."""


class OpenAI:
    """Chat Completions."""

    path = "/chat/completions"

    def __init__(self, limit: str = "max_tokens") -> None:
        """`limit` is what the server calls it: newer ones want `max_completion_tokens`."""
        self._limit = limit

    def headers(self, key: str) -> dict[str, str]:
        """A bearer token (RFC 6750)."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, model: str, wanted: Wanted, image: Image | None) -> dict[str, Any]:
        """The system's words are a turn; a picture is a data URL (RFC 2397)."""
        turns: list[dict[str, Any]] = [msgspec.to_builtins(each) for each in wanted.messages]
        if image is not None:
            url = f"data:{image.kind};base64,{image.base64}"
            turns[-1]["content"] = [
                {"type": "text", "text": turns[-1]["content"]},
                {"type": "image_url", "image_url": {"url": url}},
            ]
        if wanted.system:
            turns.insert(0, {"role": "system", "content": wanted.system})
        body = {"model": model, "messages": turns, self._limit: wanted.max_tokens}
        return _given({**body, "temperature": wanted.temperature})

    def whole(self, raw: bytes) -> Said:
        """The first choice."""
        return self._said(_object(raw), "message")

    def piece(self, data: bytes) -> Said:
        """The first choice's delta; `[DONE]` is the end."""
        return Said(last=True) if data.strip() == b"[DONE]" else self._said(_object(data), "delta")

    def _said(self, found: Mapping[str, Any], part: str) -> Said:
        try:
            usage = found.get("usage") or {}
            tokens_in = int(usage.get("prompt_tokens") or 0)
            tokens_out = int(usage.get("completion_tokens") or 0)
            if part == "delta" and not found["choices"]:  # only its usage
                return Said(tokens_in=tokens_in, tokens_out=tokens_out)
            choice = found["choices"][0]
            return Said(
                text=str(choice[part].get("content") or ""),
                finish=str(choice.get("finish_reason") or ""),
                tokens_in=tokens_in,
                tokens_out=tokens_out,
            )
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise ModelError(f"no answer of a chat: {_excerpt(found)}") from None


class Anthropic:
    """Messages."""

    path = "/messages"
    _FINISH: Mapping[str, str] = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
    }

    def headers(self, key: str) -> dict[str, str]:
        """A header of its own for the key."""
        version = {"anthropic-version": ANTHROPIC_VERSION}
        return {**version, "x-api-key": key} if key else version

    def body(self, model: str, wanted: Wanted, image: Image | None) -> dict[str, Any]:
        """The system's words stand apart; `max_tokens` must be there."""
        said = [each.content for each in wanted.messages if each.role == "system"]
        system = "\n".join(filter(None, [wanted.system, *said]))
        turns: list[dict[str, Any]] = [
            msgspec.to_builtins(each) for each in wanted.messages if each.role != "system"
        ]
        if image is not None:
            source = {"type": "base64", "media_type": image.kind, "data": image.base64}
            turns[-1]["content"] = [
                {"type": "image", "source": source},
                {"type": "text", "text": turns[-1]["content"]},
            ]
        body = {"model": model, "messages": turns, "max_tokens": wanted.max_tokens}
        return _given({**body, "system": system or None, "temperature": wanted.temperature})

    def whole(self, raw: bytes) -> Said:
        """All blocks of text, one after the other."""
        found = _object(raw)
        try:
            texts = [each["text"] for each in found["content"] if each["type"] == "text"]
            return self._said(found, found, "".join(texts))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ModelError(f"no answer of a chat: {_excerpt(found)}") from None

    def piece(self, data: bytes) -> Said:
        """What one event adds; those that are not known add nothing, as the API asks."""
        found = _object(data)
        try:
            kind = found["type"]
            if kind == "message_start":
                return self._said({}, found["message"])
            if kind == "content_block_delta":
                return Said(text=str(found["delta"].get("text") or ""))
            if kind == "message_delta":
                return self._said(found["delta"], found)
            return Said(last=kind == "message_stop")
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ModelError(f"no piece of a chat: {_excerpt(found)}") from None

    def _said(self, end: Mapping[str, Any], used: Mapping[str, Any], text: str = "") -> Said:
        reason, usage = str(end.get("stop_reason") or ""), used.get("usage") or {}
        return Said(
            text=text,
            finish=self._FINISH.get(reason, reason),
            tokens_in=int(usage.get("input_tokens") or 0),
            tokens_out=int(usage.get("output_tokens") or 0),
        )


def reason_in(raw: bytes) -> str:
    """What a server's error says, of any form, in a line that is not too long."""
    try:
        found = msgspec.json.decode(raw)
        error = found.get("error", found)
        said = error.get("message") if isinstance(error, dict) else error
        if isinstance(said, str):
            return _line(said)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        pass
    return _line(raw[:1000].decode("utf-8", "replace"))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"not JSON ({error}): {_line(raw[:200].decode('utf-8', 'replace'))}"
        ) from None
    if found.get("error") or found.get("type") == "error":
        raise ModelError(f"it says: {reason_in(raw)}")
    return found


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _excerpt(found: Any) -> str:
    return _line(msgspec.json.encode(found).decode())


def _line(text: str) -> str:
    return " ".join(text.split())[:300] or "nothing"
