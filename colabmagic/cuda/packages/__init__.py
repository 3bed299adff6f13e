"""The body of the cell: requirements for pip, from the right index."""
