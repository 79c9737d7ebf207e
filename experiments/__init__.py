"""Experiments of the paper, each a script that runs from labels to a table."""
