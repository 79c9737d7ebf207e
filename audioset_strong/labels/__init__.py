"""AudioSet labels: files, classes, label frames and training sets.

  ids               segment ids and lists of clips
  class_map         class index <-> mid <-> display name, known classes
  problems          the log of bad lines, and lists in messages
  line_parser       lines of label files -> columns, or what is wrong with them
  label_rows        rows of a label file, and checks of them
  label_files       readers and writers of all label files
  clips             lists of annotated clips
  importers         label files of other tools -> rows
  imported_clips    rows and recordings -> classes, clips and events
  label_tracks      label tracks and strong TSVs -> events of recordings
  frame_rule        events -> label frames (Section 3.2 of the paper)
  framed_agreement  comparison of framed labels with a reference
  ontology          the graph of classes
  label_mapping     smearing, subsuming Music, canonical mids
  training_sets     Weak, Diffuse, Strong; held-out part; clips to relabel
  download          the official files: fetching and checking

Needs NumPy, pandas and pyarrow only; TensorFlow is never imported from here.
"""
