"""Evaluation: score files, ground truth, d', lwlrap and reports.

Knows no model and never imports TensorFlow: it reads a score file, which any
model can write, and label files. From the bottom up:

  score_files.py   what a model scored
  alignment.py     which clips, classes and labels both sides share
  ground_truth.py  score file + labels -> items with positives and negatives
  d_prime.py       AUC and d' of each class
  lwlrap.py        label-weighted label-ranking average precision
  evaluator.py     one evaluation: per-class and overall metrics
  file_evaluation.py  files -> every evaluation that they allow
  report.py        report.json, per_class.csv and report.html, which the other
                   report_*.py modules make
  candidates.py    hard candidates for explicit negatives
"""
