"""From a wanted version to a plan: pure, by rules and tables."""
