"""Files, rows and what is done with them without a model."""
