"""Selection: which rows train the next model."""
