"""Who should run, what can be asked, and who talks too much."""

from __future__ import annotations

from mtor_swarm.config import WorkerConfig
from mtor_swarm.realm.available import MAX_CAPABILITIES, Available
from mtor_swarm.realm.errands import Wanted
from mtor_swarm.realm.flood import MAX_SOURCES, MOST_EVENTS_S, WINDOW_S, Flood
from mtor_swarm.realm.replicas import Replicas

SMOKE = WorkerConfig(kind="smoke", memory_mib=200)
MANY = WorkerConfig(kind="embed", least=1, most=3, nice=5)
IDLE = WorkerConfig(kind="chat", least=0)


def test_each_worker_runs_as_often_as_its_config_says_at_least():
    replicas = Replicas({"smoke": SMOKE, "embed": MANY, "chat": IDLE})
    assert replicas.all() == {"smoke": "smoke", "embed": "embed"}
    assert replicas.wanted() == [
        Wanted(process="smoke", nice=10, memory_mib=200),
        Wanted(process="embed", nice=5),
    ]


def test_replicas_come_and_go_by_load_within_the_config_and_the_youngest_go_first():
    replicas = Replicas({"embed": MANY, "chat": IDLE})
    replicas.scale("embed", 7)
    assert replicas.of("embed") == ["embed", "embed_2", "embed_3"]
    replicas.scale("embed", 2)
    assert replicas.of("embed") == ["embed", "embed_2"]
    replicas.scale("embed", 0)
    assert replicas.of("embed") == ["embed"]
    replicas.scale("chat", 1)
    assert replicas.of("chat") == ["chat"]
    replicas.scale("chat", 0)
    assert replicas.of("chat") == []


def test_a_replacement_is_there_before_the_old_one_goes():
    replicas = Replicas({"smoke": SMOKE})
    assert replicas.begin_swap("smoke") == ("smoke_2", ["smoke"])
    replicas.take({"smoke": SMOKE, "embed": MANY})
    assert replicas.of("smoke") == ["smoke", "smoke_2"], "whatever else changes meanwhile"
    replicas.take({"smoke": SMOKE})
    replicas.drop("smoke", "smoke")
    assert replicas.all() == {"smoke_2": "smoke"}
    assert replicas.begin_swap("smoke") == ("smoke", ["smoke_2"])
    replicas.drop("smoke", "smoke_2")
    assert replicas.of("smoke") == ["smoke"]


def test_dropping_the_last_one_starts_another():
    replicas = Replicas({"smoke": SMOKE})
    replicas.drop("smoke", "smoke")
    assert replicas.of("smoke") == ["smoke"]


def test_changes_leave_the_others_alone():
    replicas = Replicas({"embed": MANY})
    replicas.scale("embed", 3)
    replicas.take({"embed": MANY, "smoke": SMOKE})
    assert list(replicas.all()) == ["embed", "embed_2", "embed_3", "smoke"]
    replicas.take({"smoke": SMOKE})
    assert list(replicas.all()) == ["smoke"]


def test_each_worker_is_in_one_process_and_those_of_the_core_in_none_that_can_be_restarted():
    shared = WorkerConfig(kind="embed", process="light", most=2)
    inside = WorkerConfig(kind="embed", process="models")
    replicas = Replicas({"a": shared, "b": shared, "c": inside})
    replicas.scale("a", 2)
    assert [each.process for each in replicas.wanted()] == ["light", "a_2"]
    assert replicas.process_of("b") == "light"
    assert replicas.process_of("a_2") == "a_2"
    assert replicas.process_of("c") == replicas.process_of("perception") == "models"
    assert replicas.process_of("reflex") is None
    assert replicas.process_of("nobody") is None


def words(news) -> list[str]:
    return [f"{'+' if each.available else '-'}{each.capability} {each.workers}" for each in news]


def test_a_capability_is_there_with_its_first_worker_and_lost_with_its_last():
    available = Available()
    assert available.offered("detect", "a") == []
    assert words(available.up(["a", "x"], "")) == ["+detect ['a']"]
    assert available.offered("detect", "b") == []
    assert available.up(["a", "b"], "") == []
    assert available.up(["b"], "a: crash") == []
    lost = available.up([], "b: killed by SIGSEGV")
    assert words(lost) == ["-detect []"]
    assert lost[0].reason == "b: killed by SIGSEGV"
    assert words(available.up(["b"], "")) == ["+detect ['b']"]


def test_an_offer_of_one_that_is_up_is_news_and_one_that_is_forgotten_takes_it_along():
    available = Available()
    available.up(["a"], "")
    assert words(available.offered("chat", "a")) == ["+chat ['a']"]
    assert words(available.forget("a", "removed")) == ["-chat []"]
    assert available.up(["a"], "") == [], "what it offered may be somebody else's"


def test_capabilities_without_end_are_dropped_and_counted():
    available = Available()
    for n in range(MAX_CAPABILITIES + 2):
        available.offered(f"c{n}", "a")
    assert available.dropped == 2


def test_a_flood_is_told_once_a_window_with_its_rate():
    flood = Flood()
    most = int(MOST_EVENTS_S * WINDOW_S)
    told = [flood.heard("a", 100.0 + n * 0.001) for n in range(2 * most)]
    assert [each for each in told if each] == [told[most - 1]]
    assert told[most - 1] > MOST_EVENTS_S
    assert flood.heard("b", 100.6) is None


def test_who_speaks_no_faster_than_allowed_floods_nobody():
    flood = Flood()
    assert not any(flood.heard("a", n / (MOST_EVENTS_S - 10)) for n in range(3000))


def test_sources_without_end_are_not_all_counted():
    flood = Flood()
    for n in range(2 * MAX_SOURCES):
        flood.heard(f"s{n}", 1.0)
    assert len(flood._counts) == MAX_SOURCES
