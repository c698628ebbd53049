"""The settings: read, merged (defaults < model preset < recipe < run), checked, all problems in one message."""

from isheep.config.document import Config, Shards
from isheep.config.load import RUN_NAME, load, read_config

__all__ = ["RUN_NAME", "Config", "Shards", "load", "read_config"]
