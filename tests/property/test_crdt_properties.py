"""The merge laws of every kind of shared state, on entries that real writes make."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtor_swarm.swarm.gossip import crdt, hlc, wire
from mtor_swarm.swarm.gossip.crdt import Replica
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL

KINDS = ["map:m", "set:s", "counter:c", "stigmergy:g", "stigmergy:g:most", "stigmergy:g:least"]
kinds = pytest.mark.parametrize("state", KINDS)
KEYS = [HashKeys(name) for name in "abc"]
STAMP = int(WALL * 1000) << 16

action = st.tuples(
    st.integers(0, 2),  # who
    st.sampled_from(["x", "y"]),  # what
    st.integers(-3, 3),  # value
    st.booleans(),  # removal
    st.lists(st.integers(0, 2), max_size=2),  # who hears of it at once
)
actions = st.lists(action, max_size=10)
few = settings(max_examples=40, deadline=None)


def join(replica: Replica, entries) -> bool:
    """Whether any of them was news."""
    news = False
    for entry in entries:
        assert crdt.fault(entry) == ""
        if replica.is_news(entry, 0.0):
            replica.join(entry)
            news = True
    return news


def wish(state: str, who: int, item: str, number: int, *, gone: bool, stamp: int) -> wire.Entry:
    kind = crdt.kind_of(state)
    gone = gone and kind != "counter"
    return wire.Entry(
        KEYS[who].public_key,
        b"",
        boot=1,
        state=state,
        item="" if kind == "counter" else item,
        clock=stamp,
        stamp=stamp,
        value=b"" if gone or kind == "set" else msgspec.json.encode(number),
        gone=gone,
    )


def played(state: str, acts) -> tuple[list[Replica], list[list[wire.Entry]]]:
    """Three members that write, and of each write the delta; some hear of it at once."""
    replicas = [Replica(1e12) for _ in KEYS]
    clocks = [hlc.Clock() for _ in KEYS]
    deltas = []
    for who, item, value, gone, heard in acts:
        stamp = clocks[who].tick(WALL)  # wall time stands still: stamps of two may be equal
        entry = wish(state, who, item, value, gone=gone, stamp=stamp)
        made = crdt.deltas(replicas[who], entry)
        delta = [wire.sign(each, KEYS[who]) for each in made]
        deltas.append(delta)
        for each in {who, *heard}:
            join(replicas[each], delta)
            clocks[each].observe(stamp, WALL)
    return replicas, deltas


def everything(replica: Replica) -> list[wire.Entry]:
    return [entry for name in replica.states for entry in replica.entries(name)]


def joined(*parts) -> Replica:
    whole = Replica(1e12)
    for part in parts:
        join(whole, everything(part) if isinstance(part, Replica) else part)
    return whole


@kinds
@few
@given(actions)
def test_merging_is_commutative_associative_and_idempotent(state: str, acts) -> None:
    (a, b, c), _ = played(state, acts)
    assert joined(a, b).hashes() == joined(b, a).hashes()
    assert joined(joined(a, b), c).hashes() == joined(a, joined(b, c)).hashes()
    assert not join(a, everything(a))
    whole = joined(a, b, c)
    assert not join(whole, everything(b))


@kinds
@few
@given(actions, st.randoms(use_true_random=False))
def test_deltas_in_any_order_and_number_come_to_the_full_states(state, acts, rng) -> None:
    replicas, deltas = played(state, acts)
    loose = [entry for delta in deltas for entry in delta] * 2
    rng.shuffle(loose)
    assert joined(loose).hashes() == joined(*replicas).hashes()
    assert crdt.states_of(joined(loose)) == crdt.states_of(joined(*replicas))


@few
@given(actions)
def test_an_element_is_in_the_set_while_an_add_is_that_no_removal_saw(acts) -> None:
    replicas = [Replica(1e12) for _ in KEYS]
    adds: set[tuple[str, int]] = set()  # element and the number of the add
    seen: list[set[tuple[str, int]]] = [set() for _ in KEYS]
    removed: set[tuple[str, int]] = set()
    for number, (who, item, _, gone, _) in enumerate(acts):
        entry = wish("set:s", who, item, 0, gone=gone, stamp=STAMP + number)
        made = crdt.deltas(replicas[who], entry)
        join(replicas[who], [wire.sign(each, KEYS[who]) for each in made])
        if gone:
            removed |= {each for each in seen[who] if each[0] == item}
        elif made:
            adds.add((item, number))
            seen[who].add((item, number))
    value = joined(*replicas).value("set:s")
    assert value == sorted({item for item, _ in adds - removed})


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-9, 9)), min_size=1, max_size=12))
def test_a_counter_counts_every_increment_once(acts) -> None:
    replicas, _ = played("counter:c", [(who, "", by, False, []) for who, by in acts])
    assert joined(*replicas, *replicas).value("counter:c") == sum(by for _, by in acts)


@pytest.mark.parametrize(
    ("state", "best"), [("stigmergy:g:most", max), ("stigmergy:g:least", min)]
)
@few
@given(values=st.lists(st.integers(-99, 99), min_size=1, max_size=3))
def test_of_writes_that_have_not_seen_each_other_the_named_order_chooses(
    state: str, best: Callable[[list[int]], int], values: list[int]
) -> None:
    acts = [(who, "x", value, False, []) for who, value in enumerate(values)]
    replicas, _ = played(state, acts)
    assert joined(*replicas).value(state) == {"x": best(values)}


entry = st.builds(
    wire.Entry,
    st.just(KEYS[0].public_key),
    st.just(b""),
    boot=st.integers(0, 3),
    state=st.sampled_from(KINDS),
    item=st.text(max_size=3),
    of=st.sampled_from(["", "0" * 32, wire.fingerprint(KEYS[0].public_key)]),
    clock=st.integers(0, 4),
    stamp=st.integers(0, 4),
    value=st.binary(max_size=6) | st.sampled_from([b"", b"1", b"[1,2]", b"[-1,0]", b'"x"']),
    gone=st.booleans(),
)


@few
@given(st.lists(entry, max_size=20), st.randoms(use_true_random=False))
def test_arbitrary_entries_are_refused_by_name_or_merge_in_any_order(entries, rng) -> None:
    good = [each for each in entries if not crdt.fault(each)]
    shuffled = good * 2
    rng.shuffle(shuffled)
    one, other = joined(good), joined(shuffled)
    assert one.hashes() == other.hashes()
    assert crdt.states_of(one) == crdt.states_of(other)


@few
@given(entry, entry)
def test_only_an_entry_equals_another_in_rank_and_slot(a: wire.Entry, b: wire.Entry) -> None:
    if not crdt.fault(a) and not crdt.fault(b) and crdt.slot_of(a) == crdt.slot_of(b):
        assert (crdt.rank_of(a) == crdt.rank_of(b)) == (a == b)


def test_the_laws_hold_in_a_long_random_run() -> None:
    rng = random.Random(7)
    for state in KINDS:
        acts = [
            (rng.randrange(3), rng.choice("xy"), rng.randrange(9), rng.random() < 0.3, [1])
            for _ in range(300)
        ]
        replicas, deltas = played(state, acts)
        loose = [entry for delta in deltas for entry in delta]
        rng.shuffle(loose)
        assert joined(loose).hashes() == joined(*replicas).hashes()
