"""The ways to get a toolkit; each says whether it fits, and its steps."""
