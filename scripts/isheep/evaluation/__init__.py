"""Benchmarks: what every iter_i and the base are measured by; each kind is a module in `kinds`. No Snakemake."""
