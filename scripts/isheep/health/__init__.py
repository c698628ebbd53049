"""Data health: what a round's data is like before it trains the next model, and when to sound an alarm."""
