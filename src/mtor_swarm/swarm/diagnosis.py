"""What a member's counts mean, in plain words: for `mtor doctor` and the viewer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from mtor_swarm.errors import SwarmError

MAX_COUNTS = 64
MAX_NAME = 64
"""Of a peer's answer: its own counts are fewer, and their names shorter."""
HARM = {
    "forged": "signed by nobody that it names",
    "certificate missing": "a member without keys, or of an older version",
    "certificate forged": "a certificate of another swarm, or made up",
    "certificate expired": "renew it: `mtor keys issue`; or a clock is wrong",
    "certificate revoked": "somebody revoked tries to come back",
    "certificate of another": "a member that says what its certificate does not",
    "certificate beyond its voucher": "somebody vouches for what they may not",
    "another with our key": "its keys run elsewhere too, or its boot count went back: see its log",
    "two with one key": "a unit's keys run twice, or its boot count went back: see that one's log",
    "doubts of what we never said": "somebody makes up that this member is dead",
    "handshakes refused": "links without the swarm's key, or revoked ones",
    "datagrams forged": "datagrams in a member's name that it never sealed",
    "garbage": "what is no frame of ours: a port scan, or another version",
    "not beacons": "somebody's beacons are none",
    "not states": "somebody's beacons hold no state of a unit",
    "not records": "somebody's events come in no record of ours",
    "not events": "somebody signs as events what is none",
    "link keys refused": "a member says a link key that nobody can agree with",
    "other version": "members of another version: bring all to one",
    "from the future": "a clock is ahead: compare the clocks",
    "shared: ": "somebody writes into a shared state what may not be there",
}
"""Counts that point at somebody, or at something to put right."""
LIFE = {
    "silent": "it is lost, or did not answer in time",
    "replayed": "sent again by somebody who had heard it",
    "strangers": "frames from a link whose owner has shown no certificate yet",
    "certificate outdated": "of a member that has a newer one: a link or a folder of before",
    "beacons of strangers": "states of units that are not known yet",
    "datagrams of strangers": "datagrams from before a restart, or from nobody we know",
    "datagrams replayed": "datagrams that came twice",
    "datagrams unconfirmed": "sent again over ZeroMQ, since nobody confirmed them",
    "datagrams not opened": "its port of UDP is taken: ZeroMQ carries all",
    "datagrams not sent: ": "the system did not take them: ZeroMQ carried them",
    "links of strangers": "wishes of members that are not known yet",
    "sends to the revoked": "kept from members that are trusted no more",
    "answers dropped": "they came after the time to answer, or to no question",
    "answers unwanted": "ready when nobody waited for them any more",
    "asks repeated": "asks that came again while they were worked on",
    "relays dropped": "probes for others, when they were too many",
    "duplicates": "events that came again",
    "no room for events": "they came too far ahead of those before them, and are wanted again",
    "events not told of": "too many at once: digests tell of them",
    "events not asked for": "too many at once: digests ask for them",
    "streams forgotten": "of members that are gone, in others' favour",
    "gaps": "events that expired before they could be had",
    "shared: no room": "the shared states are full: remove what is not needed",
    "seeds forgotten": "more were found on the network than are tried",
    "links broken off": "a port scan, or a member that ended just then",
    "links full": "somebody takes in less than is sent to it",
    "not heard": "beyond the simulated radio",
    "stalls": "this process did not get to run in time: its machine is overloaded",
    "unsendable": "too large, or to an address that leads nowhere",
    "mdns: ": "what was found on the network leads to no member of ours",
}
"""Counts that small networks and changing swarms have. With `: ` at the end: all that begin so."""


class Meaning(NamedTuple):
    """What a count means; `harm`: it points at somebody, or at something to put right."""

    harm: bool
    text: str


def meaning(what: str) -> Meaning:
    """What is known of the counts of that name; no text if nothing is."""
    kind, colon, _ = what.partition(": ")
    for name in (what, kind + colon):
        for harm, known in ((False, LIFE), (True, HARM)):
            if name in known:
                return Meaning(harm, known[name])
    return Meaning(False, "")


def in_order(counts: Iterable[str]) -> list[str]:
    """The names of counts: what points at somebody first."""
    return sorted(counts, key=lambda each: (not meaning(each).harm, each))


def read(answer: bytes) -> dict[str, int]:
    """What a member answers that is asked for its counts; SwarmError if that is none."""
    try:
        found = msgspec.json.decode(answer, type=dict[str, int])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SwarmError("its answer holds no counts: is it of another version?") from None
    return {name[:MAX_NAME]: found[name] for name in in_order(found)[:MAX_COUNTS]}
