"""Keep a notebook alive while work runs, and make the end harmless."""
