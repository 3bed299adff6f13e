"""Our folder: toolkits, staging, journal, lock; install, undo, take away."""
