"""Trained models -> scores, SavedModels and events."""
