"""The models behind the capabilities, one library a file, and the store of their weights."""
