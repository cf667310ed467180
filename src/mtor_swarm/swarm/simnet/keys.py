"""Signatures of simulated members: a keyed hash, since Ed25519 would take most of the time."""

from __future__ import annotations

import hashlib


class HashKeys:
    """Signer and verifier in one. Who knows a public key can forge: nobody here does."""

    def __init__(self, name: str) -> None:
        self.public_key = hashlib.blake2b(name.encode(), digest_size=32).digest()

    def sign(self, message: bytes) -> bytes:
        return hashlib.blake2b(message, key=self.public_key, digest_size=32).digest()

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return hashlib.blake2b(message, key=public_key, digest_size=32).digest() == signature
