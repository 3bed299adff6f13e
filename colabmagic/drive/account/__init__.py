"""Who asks: credentials, where they come from, and the login outside Colab."""
