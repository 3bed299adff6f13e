"""What is only known when it is tried: ``--bench`` and ``--deep``."""
