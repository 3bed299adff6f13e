"""Prove a toolkit: files, version, a cubin, a program, a GPU, torch."""
