"""What is on this machine that a toolkit has to fit."""
