"""The kinds of pair sources, one module each; isheep.config.kinds finds them."""
