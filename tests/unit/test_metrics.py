"""What a realm says of itself is what Prometheus is told."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import metrics

LABELS = ("unit", "part", "state", "what")


@pytest.fixture(name="book")
def _book() -> metrics.Book:
    return metrics.Book("r1")


@pytest.fixture(name="server")
def _server(book: metrics.Book):
    server = metrics.Server(0, book)
    yield server
    server.close()


def told(server: metrics.Server) -> dict[tuple[str, ...], float]:
    """Every value served, by its name and what it is labelled with."""
    with urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {
        (each.name, *(each.labels[key] for key in LABELS if key in each.labels)): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_states_levels_and_numbers_are_served(book, server) -> None:
    book.take("r1: perception", 1, {"state": "inactive", "score": "0.5"})
    book.take("r1: perception work", 0, {"handled": "12"})
    found = told(server)
    assert found["mtor_state", "r1", "perception", "inactive"] == 1
    assert found["mtor_level", "r1", "perception"] == 1
    assert found["mtor_value", "r1", "perception", "score"] == 0.5
    assert found["mtor_value", "r1", "perception work", "handled"] == 12
    assert ("process_open_fds",) in found


def test_only_the_newest_word_counts(book, server) -> None:
    book.take("r1: perception", 2, {"state": "failed"})
    book.take("r1: perception", 0, {"state": "active"})
    states = [key for key in told(server) if key[0] == "mtor_state"]
    assert states == [("mtor_state", "r1", "perception", "active")]


def test_a_worker_that_was_removed_is_shown_no_more_until_it_is_added_anew(book, server) -> None:
    for state in ("active", "removed"):
        book.take("r1: smoke", 0, {"state": state})
        book.take("r1: smoke work", 0, {"handled": "12"})
    assert not [key for key in told(server) if "smoke" in " ".join(key)]
    book.take("r1: smoke", 0, {"state": "active"})
    book.take("r1: smoke work", 0, {"handled": "1"})
    assert told(server)["mtor_value", "r1", "smoke work", "handled"] == 1


def test_other_units_nameless_parts_and_what_is_no_number_are_left_out(book, server) -> None:
    book.take("r2: perception", 0, {"handled": "1"})
    book.take("r1: ", 0, {"handled": "1"})
    book.take("driver", 0, {"handled": "1"})
    book.take("r1: gossip work", 0, {"mood": "well", "load": "nan", "far": "inf"})
    assert [key for key in told(server) if key[0].startswith("mtor_")] == [
        ("mtor_level", "r1", "gossip work")
    ]


def test_labels_hold_whatever_a_part_is_called(book, server) -> None:
    book.take('r1: a"b\\c\n', 0, {"x\ny": "1"})
    assert ("mtor_value", "r1", 'a"b\\c\n', "x\ny") in told(server)


def test_no_more_parts_are_kept_than_a_realm_has(book) -> None:
    for number in range(metrics.MAX_PARTS + 5):
        book.take(f"r1: {number}", 0, {})
    book.take("r1: 7", 2, {})
    assert book.refused == 5
    (_, level, _) = book.collect()
    assert len(level.samples) == metrics.MAX_PARTS


def test_a_client_that_says_nothing_is_hung_up_on(server, monkeypatch) -> None:
    monkeypatch.setattr(metrics._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as mute:
        assert mute.recv(64) == b""
    assert told(server)


def test_a_port_that_is_taken_is_named(server) -> None:
    with pytest.raises(SwarmError, match=f"127.0.0.1:{server.port}.*metrics_port"):
        metrics.Server(server.port)


def test_a_server_that_closed_leaves_no_thread(book) -> None:
    server = metrics.Server(0, book)
    server.close()
    assert not server._thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60)
