"""What can be asked about GPUs: each module reads one source, and never raises."""
