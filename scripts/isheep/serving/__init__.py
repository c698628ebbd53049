"""What runs a model: engines, chat templates, model folders."""
