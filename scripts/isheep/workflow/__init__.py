"""What the Snakefile asks: the graph, its checks, jobs left behind."""
