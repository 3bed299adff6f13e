"""Google Drive: files that are there, fast, and safe to trust."""
