"""The kinds of assessors, one module each; isheep.config.kinds finds them."""
