"""What runs in child processes: each module gets its framework as an argument.

They are started by their path, so they import nothing of this package, and no
framework by name: the extension itself never imports one.
"""
