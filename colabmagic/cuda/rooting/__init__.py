"""Make a CUDA root out of parts: links, stubs, the profile of nvcc."""
