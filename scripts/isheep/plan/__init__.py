"""What a run will take, before it runs: requests, tokens, memory, disk, time."""
