"""Iterative self-alignment of language models: pure functions and engines, unaware of Snakemake."""

__version__ = "0.1.0"
