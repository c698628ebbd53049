"""The kinds of sources of prompts, one module each; isheep.config.kinds finds them."""
