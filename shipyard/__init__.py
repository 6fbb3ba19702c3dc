"""Shipyard: containers on your servers, kept as your files say, over plain SSH."""

__version__ = "0.1.0"
