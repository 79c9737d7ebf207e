"""The reproduction on the real AudioSet: README.md."""
