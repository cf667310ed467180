"""The client of chat servers against a real HTTP server on this machine."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.chat_server import MAX_REPLY_BYTES, ChatServer, ServerBusyError
from mtor_swarm.models.chat_wire import Anthropic, Dialect, Image, OpenAI, Said, Turn, Wanted
from tests.chat_host import KEY, PIECES, Host, Request

LONG_S = 60.0
DIALECTS: list[Dialect] = [OpenAI(), Anthropic()]
HELLO = Wanted(messages=[Turn("user", "What now?")], system="Be brief.", max_tokens=99)


@pytest.fixture(scope="module")
def module_host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def host(module_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("MTOR_TEST_KEY", f" {KEY}\n")
    module_host.misbehave = None
    module_host.seen.clear()
    module_host.begun, module_host.gone = threading.Semaphore(0), threading.Semaphore(0)
    return module_host


@pytest.fixture(params=DIALECTS, ids=["openai", "anthropic"])
def server(host: Host, request: pytest.FixtureRequest) -> Iterator[ChatServer]:
    made = ChatServer(request.param, url=host.url, model="small", key_variable="MTOR_TEST_KEY")
    yield made
    made.close()


def ask(
    server: ChatServer,
    tell: Callable[[str], None] | None = None,
    *,
    left_s: float = LONG_S,
    image: Image | None = None,
    cancelled: threading.Event | None = None,
) -> Said:
    return server.chat(
        HELLO, image=image, left_s=left_s, cancelled=cancelled or threading.Event(), tell=tell
    )


def test_a_question_gets_its_whole_answer(host: Host, server: ChatServer):
    said = ask(server)
    assert (said.text, said.finish) == ("".join(PIECES), "stop")
    assert (said.tokens_in, said.tokens_out) == (7, 4)
    ((_, _, body),) = host.seen
    assert (body["model"], body["max_tokens"], body["stream"]) == ("small", 99, False)
    assert "temperature" not in body
    assert "Be brief." in json.dumps(body)


def test_a_streamed_answer_comes_in_pieces_and_as_a_whole(server: ChatServer):
    heard: list[str] = []
    said = ask(server, heard.append)
    assert heard == PIECES
    assert (said.text, said.finish) == ("".join(PIECES), "stop")
    assert (said.tokens_in, said.tokens_out) == (7, 4)


def test_a_picture_goes_along(host: Host, server: ChatServer):
    assert ask(server, image=Image("image/png", b"\x89PNG")).text
    (_, _, body) = host.seen[-1]
    assert "iVBORw==" in json.dumps(body["messages"][-1]["content"])
    assert "image/png" in json.dumps(body["messages"][-1]["content"])


def test_many_ask_at_once_over_few_connections(host: Host, server: ChatServer):
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(server).text)) for _ in range(12)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LONG_S)
    assert answers == ["".join(PIECES)] * 12


WHOLE = {"x": "not what was wanted"}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON .*<html>"),
        (b"[1]", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (json.dumps(WHOLE).encode(), "no answer of a chat: .*not what was wanted"),
        (b'{"choices": [], "content": 3}', "no answer of a chat"),
        (b'{"choices": [{"message": 1}], "content": [{}]}', "no answer of a chat"),
        (b'{"error": {"message": "out of memory"}}', "it says: out of memory"),
        (b"x" * (MAX_REPLY_BYTES + 1), "a reply of more than"),
    ],
)
def test_what_is_no_answer_is_one_error_that_names_the_server(
    host: Host, server: ChatServer, raw: bytes, told: str
):
    host.misbehave = lambda request: request.send_whole(raw)
    with pytest.raises(ModelError, match=rf"{host.url}/[a-z/]+: {told}"):
        ask(server)
    host.misbehave = None
    assert ask(server).text


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([], "the answer broke off after 0 characters"),
        ([b"data: {}\n\n"], "no (answer|piece) of a chat"),
        ([b"data: [\n\n"], "not JSON"),
        ([b'event: error\ndata: {"type": "error", "error": "tired"}\n\n'], "it says: tired"),
        ([b"data: " + b"x" * 1000] * 300, "an event of more than"),
        ([b": nothing\n\n" * 1000] * 500, "a reply of more than"),
    ],
)
def test_a_stream_that_is_none_is_one_error(
    host: Host, server: ChatServer, chunks: list[bytes], told: str
):
    host.misbehave = lambda request: request.send_stream(iter(chunks))
    with pytest.raises(ModelError, match=rf"{host.url}/[a-z/]+: {told}"):
        ask(server, lambda _: None)


def test_a_connection_that_breaks_is_one_error(host: Host, server: ChatServer):
    def breaking(request: Request) -> None:
        request.send_response(200)
        request.send_header("content-length", "1000")
        request.end_headers()
        request.wfile.write(b"{")
        request.close_connection = True

    host.misbehave = breaking
    with pytest.raises(ModelError, match="is the server up"):
        ask(server)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, AskError, "400: too long"),
        (413, AskError, "413: too long"),
        (401, ModelError, r"401: .*another key than the key in \$MTOR_TEST_KEY"),
        (404, ModelError, "404: too long"),
        (500, ModelError, "500: too long"),
        (302, ModelError, "302: it sends us to http://127.0.0.1/x: set the parameter url to that"),
        (429, ServerBusyError, "429"),
        (503, ServerBusyError, "503"),
    ],
)
def test_each_refusal_is_told_for_what_it_is(
    host: Host, server: ChatServer, status: int, kind: type, told: str
):
    raw = json.dumps({"error": {"message": "too long"}}).encode()
    host.misbehave = lambda request: request.send_whole(raw, status, location="http://127.0.0.1/x")
    with pytest.raises(kind, match=told) as caught:
        ask(server)
    assert host.url in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(host.seen) == 1


@pytest.mark.parametrize(
    ("said", "wait_s"), [("7", 7.0), ("soon", 5.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 5.0)]
)
def test_a_busy_server_says_when_to_come_back(
    host: Host, server: ChatServer, said: str, wait_s: float
):
    host.misbehave = lambda request: request.send_whole(b"busy", 429, retry_after=said)
    with pytest.raises(ServerBusyError, match="429: busy") as caught:
        ask(server)
    assert caught.value.retry_s == wait_s


def drip(request: Request) -> None:
    """A stream that goes on until the client leaves."""
    request.host.begun.release()
    pause = threading.Event()

    def chunks() -> Iterator[bytes]:
        for _ in itertools.count():
            yield b": still there\n\n"
            pause.wait(0.02)

    request.send_stream(chunks())


def test_a_server_that_drips_for_ever_is_left_when_the_time_is_over(
    host: Host, server: ChatServer
):
    host.misbehave = drip
    with pytest.raises(ModelError, match=r"no answer within 0\.3 s"):
        ask(server, lambda _: None, left_s=0.3)
    assert host.gone.acquire(timeout=LONG_S)


def test_a_cancelled_question_leaves_the_server_at_once(host: Host, server: ChatServer):
    host.misbehave = drip
    cancelled = threading.Event()
    threading.Thread(target=lambda: host.begun.acquire(timeout=LONG_S) and cancelled.set()).start()
    with pytest.raises(AskError, match="cancelled"):
        ask(server, lambda _: None, cancelled=cancelled)
    assert host.gone.acquire(timeout=LONG_S)


def test_a_teller_that_raises_ends_the_request(server: ChatServer):
    def refuse(_: str) -> None:
        raise AskError("nobody listens")

    with pytest.raises(AskError, match="nobody listens"):
        ask(server, refuse)


def test_what_is_under_way_ends_when_the_model_is_unloaded(host: Host):
    host.misbehave = drip
    errors: list[Exception] = []

    def run() -> None:
        try:
            ask(server, lambda _: None)
        except ModelError as error:
            errors.append(error)

    server = ChatServer(OpenAI(), url=host.url, model="small")
    thread = threading.Thread(target=run)
    thread.start()
    assert host.begun.acquire(timeout=LONG_S)
    server.close()
    thread.join(LONG_S)
    assert "unloaded while it was asked" in str(errors[0])


SOUND = {"url": "http://127.0.0.1/v1", "model": "m", "key_variable": "MTOR_TEST_KEY"}


def test_nobody_there_is_told():
    server = ChatServer(OpenAI(), url="http://127.0.0.1:9/v1", model="small")
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9/v1/chat/completions: .*server up"):
        ask(server)
    server.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": ""}, "set both"),
        ({"url": "ftp://x/v1"}, "set both"),
        ({"model": ""}, "set both"),
        ({"key_variable": "MTOR_NO_SUCH_KEY"}, "MTOR_NO_SUCH_KEY is not set"),
        ({"key_variable": "MTOR_ODD_KEY"}, "MTOR_ODD_KEY holds is no key"),
        ({"url": "http://192.0.2.1/v1"}, "in the clear: https"),
        ({"url": "http://robot/v1"}, "in the clear: https"),
    ],
)
def test_settings_that_cannot_do_are_told_at_load(
    host: Host, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], told: str
):
    monkeypatch.setenv("MTOR_ODD_KEY", "a\nb")
    with pytest.raises(ModelError, match=told) as caught:
        ChatServer(OpenAI(), **{**SOUND, **settings})
    assert KEY not in str(caught.value)


def test_a_newer_name_for_the_limit_is_used_where_it_is_set():
    body = OpenAI("max_completion_tokens").body("m", HELLO, None)
    assert body["max_completion_tokens"] == 99
    assert "max_tokens" not in body


def test_anthropics_system_words_stand_apart():
    turns = [Turn("system", "Be kind."), Turn("user", "Hi")]
    wanted = Wanted(messages=turns, system="Be brief.", max_tokens=1, temperature=0.5)
    body = Anthropic().body("m", wanted, None)
    assert body["system"] == "Be brief.\nBe kind."
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("dialect", "raw"),
    [
        (OpenAI(), {"choices": [{"message": {"content": "Hm"}, "finish_reason": "length"}]}),
        (Anthropic(), {"content": [{"type": "text", "text": "Hm"}], "stop_reason": "max_tokens"}),
    ],
)
def test_an_answer_that_is_cut_short_says_so(dialect: Dialect, raw: dict):
    said = dialect.whole(json.dumps(raw).encode())
    assert (said.text, said.finish) == ("Hm", "length")
