"""Where trials run: one protocol, one engine per file."""
