"""Finished toolkits as one archive each, in a folder that outlives the machine."""
