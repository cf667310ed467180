"""One swarm of processes, ours or a peer's, in a network of its own: what `gossip` measures.

`room.measure` starts `measure.py` in a private network namespace; that starts a `node_*.py` for
each member and tells them over Unix datagrams when to begin and what to publish. All stamps are
CLOCK_MONOTONIC, one clock for all processes of a machine.
"""
