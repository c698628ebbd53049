"""GGUF files as base models: found or fetched, put together, read for what they say, written as model folders."""
