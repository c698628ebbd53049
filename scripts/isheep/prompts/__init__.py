"""Prompts: what the model is asked to write, and how it is read."""
