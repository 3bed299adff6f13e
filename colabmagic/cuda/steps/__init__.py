"""What a plan consists of: each step shows itself, and does what it shows."""
