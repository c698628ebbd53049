"""Outputs: what the model answers, and which answers are dropped."""
