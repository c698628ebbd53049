"""The kinds of output styles, one module each; isheep.config.kinds finds them."""
