"""Audio files -> waveforms -> log-mel features."""
