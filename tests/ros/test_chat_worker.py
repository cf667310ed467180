"""The workers that pass questions on, in a real realm, with a real HTTP server behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from rclpy.parameter import Parameter

from mtor_swarm.workers.chat import AnthropicWorker, ChatWorker, OpenAIWorker
from tests.chat_host import KEY, PIECES, Host
from tests.ros.model_realm import SUCCESS, ModelRealm, configured

KINDS: dict[str, type[ChatWorker]] = {"openai": OpenAIWorker, "anthropic": AnthropicWorker}
WHOLE = "".join(PIECES)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture(scope="module", params=list(KINDS))
def realm(host: Host, request: pytest.FixtureRequest) -> Iterator[ModelRealm]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTOR_TEST_KEY", KEY)
        parameters = {"url": host.url, "model": "small", "key_variable": "MTOR_TEST_KEY"}
        config = configured(
            "talker", request.param, **parameters, system="Be brief.", max_tokens=50
        )
        made = ModelRealm(KINDS[request.param], config)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def well_behaved(host: Host) -> None:
    host.misbehave = None
    host.seen.clear()


def test_a_text_is_answered_with_what_the_server_says(host: Host, realm: ModelRealm):
    answer = realm.ask("chat", "What now?")
    assert answer.ok, answer
    assert json.loads(answer.payload) == {
        "text": WHOLE,
        "finish": "stop",
        "model": "small",
        "tokens_in": 7,
        "tokens_out": 4,
    }
    (_, _, body) = host.seen[-1]
    assert body["max_tokens"] == 50
    assert "Be brief." in json.dumps(body)


def test_a_streamed_answer_comes_in_parts_first(realm: ModelRealm):
    parts = []
    answer = realm.ask("chat", "What now?", stream=True, on_part=parts.append)
    assert [each.payload.decode() for each in parts] == PIECES
    assert json.loads(answer.payload)["text"] == WHOLE


def test_a_question_may_be_whole_and_bounded(host: Host, realm: ModelRealm):
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    question = {"messages": turns, "max_tokens": 10**6, "temperature": 0.5, "system": "Rhyme."}
    assert realm.ask("chat", json.dumps(question).encode()).ok
    (_, _, body) = host.seen[-1]
    assert body["max_tokens"] == 50
    assert body["temperature"] == 0.5
    assert "Rhyme." in json.dumps(body)
    assert "Be brief." not in json.dumps(body)
    assert realm.ask("chat", b'"only a text"').ok


def test_what_the_model_is_told_first_may_change_while_it_runs(host: Host, realm: ModelRealm):
    (done,) = realm.worker.set_parameters([Parameter("system", value="Sing.")])
    assert done.successful
    assert realm.ask("chat", "What now?").ok
    assert "Sing." in json.dumps(host.seen[-1][2])
    (refused,) = realm.worker.set_parameters([Parameter("url", value="http://127.0.0.1:1/v1")])
    assert "url is read at load only" in refused.reason
    realm.worker.set_parameters([Parameter("system", value="Be brief.")])


def test_a_picture_is_asked_about(host: Host, realm: ModelRealm):
    options = {"prompt": "Is it a cat?"}
    assert realm.ask("chat", b"\xff\xd8\xff", kind="image/jpeg", options=options).ok
    (_, _, body) = host.seen[-1]
    assert "Is it a cat?" in json.dumps(body)
    assert "image/jpeg" in json.dumps(body)


@pytest.mark.parametrize(
    "payload", ["  ", b"", b"{", b'{"messages": []}', b'{"messages": [{"role": "x"}]}', b"[1]"]
)
def test_a_bad_question_is_told_and_does_not_reach_the_server(
    host: Host, realm: ModelRealm, payload: bytes | str
):
    answer = realm.ask("chat", payload)
    assert not answer.ok
    assert not answer.retryable
    assert answer.reason.startswith("chat: ")
    assert host.seen == []


def test_what_the_server_refuses_is_told(host: Host, realm: ModelRealm):
    host.misbehave = lambda request: request.send_whole(b'{"error": "too long"}', 400)
    answer = realm.ask("chat", "What now?")
    assert "400: too long" in answer.reason
    assert len(host.seen) == 1


def test_a_server_that_is_busy_is_asked_again(host: Host, realm: ModelRealm):
    def once(request) -> None:
        host.misbehave = None
        request.send_whole(b"busy", 429, retry_after="0")

    host.misbehave = once
    answer = realm.ask("chat", "What now?")
    assert answer.ok, answer
    assert realm.worker.counts["busy"] == 1
    assert realm.worker.counts["faults"] == 0


def test_a_cancelled_ask_leaves_the_server(host: Host, realm: ModelRealm):
    def endless(request) -> None:
        host.begun.release()

        def chunks() -> Iterator[bytes]:
            while True:
                yield b": still there\n\n"

        request.send_stream(chunks())

    host.misbehave = endless
    asked = realm.client.ask("chat", b"x", kind="text/plain", timeout_s=60.0, stream=True)
    realm.until(lambda: host.begun.acquire(blocking=False))
    realm.client.cancel(asked.askid)
    assert not realm.answer(asked).ok
    realm.until(lambda: host.gone.acquire(blocking=False))


def test_settings_that_cannot_do_fail_the_load_with_the_reason():
    made = ModelRealm(OpenAIWorker, configured("talker", "openai", model="m"), load=False)
    try:
        assert made.worker.trigger_configure() != SUCCESS
        assert "url '', model 'm': set both" in made.failure()
    finally:
        made.close()
