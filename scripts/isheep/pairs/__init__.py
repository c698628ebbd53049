"""Preference pairs: which answers to a prompt are compared, and which of two is the better."""
