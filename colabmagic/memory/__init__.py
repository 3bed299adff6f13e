"""Memory: who holds it, how to free it, and what an error keeps alive.

Knows neither IPython nor, before somebody else has loaded it, PyTorch.
"""
