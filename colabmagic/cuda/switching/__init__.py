"""Which toolkit this kernel (or, on request, this system) uses."""
