"""Archives: unpacked safely while they come, or made of a folder."""
