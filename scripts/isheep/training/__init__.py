"""LoRA fine-tuning on the selected rows, the checks on its adapter, and the merge into the weights."""
