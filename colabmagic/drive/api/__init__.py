"""Google Drive's API: requests, refusals, quota, and files by path."""
