"""Making the data: the list of tasks a model is asked to continue, its parsing, prompts and outputs."""
