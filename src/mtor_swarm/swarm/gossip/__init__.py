"""The gossip as a pure machine: inputs and a time go in, effects come out (sans-IO)."""
