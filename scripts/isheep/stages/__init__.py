"""The stages: one module each, which declares it and does its work."""
