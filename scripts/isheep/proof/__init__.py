"""Proof and hand-over: manifest, verification, reproduction, cards, archives."""
