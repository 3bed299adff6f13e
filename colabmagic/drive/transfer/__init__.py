"""Bytes between here and Drive, proven by their checksums."""
