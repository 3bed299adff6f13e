"""Wheels, tar archives, .debs and runfiles, unpacked without running them."""
