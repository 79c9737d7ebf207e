"""The network, and how it scores clips.

resnet.py             ResNet-50 for log-mel patches, up to its last map
batch_norm.py         its batch norm, in one kernel
frame_classifier.py   its classifier head, and the loss
clip_scores.py        scores of every label frame of the clips in records
"""
