"""The kinds of benchmark: a module each, with its settings and its code. A new file here is a new kind."""
