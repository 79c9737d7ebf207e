"""Benchmarks: numbers that the notes quote, and how to take them again."""
