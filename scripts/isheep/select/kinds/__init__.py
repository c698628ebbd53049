"""The kinds of selections, one module each; isheep.config.kinds finds them."""
