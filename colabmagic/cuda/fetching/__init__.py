"""Files from the net: resumed, hashed while they come, kept in a cache."""
