"""Whatever a peer sends about shared states: nothing raises, and what is held stays readable."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mtor_swarm.errors import WireError
from mtor_swarm.swarm.gossip import crdt, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL, Net

STAMP = int(WALL * 1000) << 16
STATES = ["map:m", "set:s", "counter:c", "stigmergy:g", "stigmergy:g:least"]
WRITER = HashKeys("writer")
entry = st.builds(
    lambda **fields: wire.sign(wire.Entry(WRITER.public_key, b"", **fields), WRITER),
    boot=st.integers(0, 2),
    state=st.sampled_from(STATES),
    item=st.sampled_from(["", "x", "y"]),
    of=st.sampled_from(["", "0" * 32, wire.fingerprint(WRITER.public_key)]),
    clock=st.integers(STAMP, STAMP + 3),
    stamp=st.integers(STAMP, STAMP + 3),
    value=st.sampled_from([b"", b"1", b"[1,2]", b'"x"', b"{", b"[" * 99, b"\xff"]),
    gone=st.booleans(),
)
hashes = st.lists(st.tuples(st.sampled_from(STATES), st.binary(max_size=8)), max_size=3)
frame = st.one_of(
    st.builds(wire.StateDelta, st.lists(entry, max_size=6)),
    st.builds(wire.StateDigest, st.binary(max_size=8), st.none() | hashes),
    st.builds(
        wire.StateHeld,
        st.lists(st.tuples(st.sampled_from(STATES), st.binary(max_size=40)), max_size=3),
        st.booleans(),
    ),
)


@settings(max_examples=60)
@given(st.lists(frame, max_size=8), st.randoms(use_true_random=False))
def test_no_frame_of_a_peer_raises_and_what_is_held_stays_readable(
    frames: list[wire.SharedFrame], rng: random.Random
) -> None:
    net = Net(1)
    me, peer = net.grow(2)
    for each in frames:
        raw = bytearray(wire.encode(each))
        if rng.random() < 0.5:
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        with contextlib.suppress(WireError):
            net.give(me, fx.Received(peer.id, wire.decode(bytes(raw))))
    net.run(3.0)
    replicas = [each.machine.shared.replica for each in (me, peer)]
    assert crdt.states_of(replicas[0]) == crdt.states_of(replicas[1])
    assert replicas[0].hash() == replicas[1].hash()
