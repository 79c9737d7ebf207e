"""What the labels say, in numbers: Sections 3.1 and 3.3 of the paper.

  statistics    clip labels as matrices; counts per class, instances, priors
  odds_ratios   which weak and strong classes occur together
  class_names   display names, and classes by their names
  analysis      label files -> all of the above
  tables        an analysis as CSV, JSON and Markdown
  label_spaces  which classes the released files share
  coverage      how much of each label file is left in a copy of the audio

Figure 2 is drawn by `plots.py`. Needs no TensorFlow.
"""
