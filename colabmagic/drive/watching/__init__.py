"""Whether a mounted folder still answers, and what heals it."""
