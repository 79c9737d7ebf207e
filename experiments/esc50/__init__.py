"""The conclusive run on ESC-50's recordings."""
