"""The build, as the real file states it."""

__version__ = "2.11.0+cu128"
cuda = "12.8"
hip = None
