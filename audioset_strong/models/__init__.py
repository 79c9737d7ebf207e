"""Keras models: a ResNet-50 for log-mel patches and its classifier head."""
