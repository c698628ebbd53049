"""One HTML page of a run, or of several beside the paper: gathered from records and artifacts, drawn, written."""
