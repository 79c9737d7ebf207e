"""TFRecords of features and events, and the streams read from them."""
