"""What can go wrong, as data; and the doctor who looks for it."""
