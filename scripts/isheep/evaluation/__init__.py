"""Benchmarks: each a small module of one shape (base.py), found by name (registry.py); pure functions, no Snakemake."""
