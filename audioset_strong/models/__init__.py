"""The network, and how it scores clips.

networks.py           the networks by name
resnet.py             ResNet-50 for log-mel patches, up to its last map
batch_norm.py         its batch norm, in one kernel
mobilenet.py          the smaller network of YAMNet, likewise
frame_classifier.py   its classifier head, and the loss
clip_scores.py        scores of every label frame of the clips in records
folding.py            batch norm folded into the convolutions, for export
starter/              a small trained model, and its card
"""
