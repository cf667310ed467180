"""Workers that pass questions on to a chat server: kinds `openai` and `anthropic`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.chat_server import ChatServer, ServerBusyError
from mtor_swarm.models.chat_wire import Anthropic, Dialect, Image, OpenAI, Said, Turn, Wanted
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.ask_wire import Answer
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.worker import Worker

PICTURES = {"image/jpeg", "image/png"}
_question = msgspec.json.Decoder(str | Wanted)


class ChatWorker(Worker):
    """A text, a JSON `{"messages", "system", "max_tokens", "temperature"}` or a picture in.

    Out comes `{"text", "finish", "model", "tokens_in", "tokens_out"}`; `finish` is `stop`, or
    `length` if it was cut short; streamed, its text comes as parts before. With a picture the
    option `prompt` says what to do.
    """

    parameters: tuple[Setting, ...] = (
        Setting("url", "", "of the server, such as http://127.0.0.1:8080/v1"),
        Setting("model", "", "as the server calls it"),
        Setting("key_variable", "", "the environment variable with the key; empty: no key"),
        Setting("capability", "chat", "what it is asked for: chat, describe, understand, …"),
        Setting("concurrency", 4, "requests at a time", least=1, most=64),
        Setting("lend", False, "whether peers may ask it: their questions may cost money"),
        Setting("system", "", "what the model is told first, unless a question says", live=True),
        Setting("prompt", "What is in this picture?", "what is asked of a picture", live=True),
        Setting("max_tokens", 1024, "of an answer at most", least=1, most=1 << 17, live=True),
        Setting("temperature", -1.0, "below 0: as the server will", least=-1, most=2, live=True),
    )

    def __init__(self, *, name: str, config: RealmConfig) -> None:
        super().__init__(name=name, config=config)
        self._server: ChatServer | None = None

    def dialect(self) -> Dialect:
        """How the server is spoken to."""
        raise NotImplementedError

    def load(self) -> None:
        """Get ready to ask; ModelError if what is set cannot do. The server may come later."""
        most = self.value("concurrency")
        self._server = ChatServer(
            self.dialect(),
            url=self.value("url"),
            model=self.value("model"),
            key_variable=self.value("key_variable"),
            most=most,
        )
        offered = Capability(self.value("capability"), concurrency=most, lend=self.value("lend"))
        self.capabilities = (offered,)

    def unload(self) -> None:
        """End what is under way."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """What the server says."""
        server = self._server
        if server is None:
            raise ModelError("it is not loaded")
        wanted, image = self._wanted(ask)
        try:
            said = server.chat(
                wanted,
                image=image,
                left_s=ask.left_s,
                cancelled=ask.cancelled,
                tell=tell if ask.stream else None,
            )
        except ServerBusyError as error:
            self.counts["busy"] += 1
            return Answer(
                askid=ask.askid,
                ok=False,
                reason=str(error)[:1024],
                retryable=True,
                retry_s=error.retry_s,
            )
        return self._reply(said)

    def _reply(self, said: Said) -> Reply:
        self.counts["tokens_in"] += said.tokens_in
        self.counts["tokens_out"] += said.tokens_out
        return {
            "text": said.text,
            "finish": said.finish,
            "model": self.value("model"),
            "tokens_in": said.tokens_in,
            "tokens_out": said.tokens_out,
        }

    def _wanted(self, ask: Question) -> tuple[Wanted, Image | None]:
        """The question, with what is set here where it says nothing."""
        wanted, image = question_of(ask, ask.options.get("prompt", self.value("prompt")))
        most, temperature = self.value("max_tokens"), self.value("temperature")
        return msgspec.structs.replace(
            wanted,
            system=wanted.system or self.value("system"),
            max_tokens=min(wanted.max_tokens or most, most),
            temperature=_or(wanted.temperature, temperature if temperature >= 0 else None),
        ), image


class OpenAIWorker(ChatWorker):
    """A server that speaks OpenAI's Chat Completions: llama.cpp, vLLM, Ollama, OpenAI's own."""

    parameters = (
        *ChatWorker.parameters,
        Setting(
            "limit",
            "max_tokens",
            "what the server calls the limit of an answer",
            choices=("max_tokens", "max_completion_tokens"),
        ),
    )

    def dialect(self) -> Dialect:
        """OpenAI's."""
        return OpenAI(self.value("limit"))


class AnthropicWorker(ChatWorker):
    """A server that speaks Anthropic's Messages API."""

    def dialect(self) -> Dialect:
        """Anthropic's."""
        return Anthropic()


def question_of(ask: Question, prompt: str) -> tuple[Wanted, Image | None]:
    """An ask's question and picture, if it has one; AskError says what it should be."""
    if ask.kind in PICTURES:
        return Wanted(messages=[Turn("user", prompt)]), Image(ask.kind, ask.payload)
    try:
        if ask.kind.startswith("text/"):
            found: str | Wanted = ask.payload.decode()
        else:
            found = _question.decode(ask.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskError(
            f"{ask.capability}: {error}: send a text, a JPEG or PNG, or JSON such as "
            '{"messages": [{"role": "user", "content": "Hello"}]}'
        ) from None
    if not isinstance(found, str):
        return found, None
    if not found.strip():
        raise AskError(f"{ask.capability}: an empty text: say something")
    return Wanted(messages=[Turn("user", found)]), None


def _or(value: float | None, other: float | None) -> float | None:
    return other if value is None else value
