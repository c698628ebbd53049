"""Self-assessment: what turns a row into requests to a model, and the results into columns of scores."""
