"""What stands for NVIDIA's servers: their formats, spoken on loopback, with faults."""
