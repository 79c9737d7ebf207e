"""The structure holds: who imports whom, how long files are, what is tested."""

import ast
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / "audioset_strong"
_MODULES = sorted(
    path for path in _PACKAGE.rglob("*.py") if path.name != "__init__.py"
)
_LIBRARIES = [path for path in _MODULES if path.parent != _PACKAGE]

# Later packages may import earlier ones, as in the data flow.
_ORDER = (
    "labels",
    "download",
    "analysis",
    "features",
    "records",
    "evaluation",
    "models",
    "training",
    "inference",
)

_WITHOUT_TENSORFLOW = ("labels", "download", "analysis", "evaluation", "plots")

# Modules that the tests of another module, or of a binary, run.
_TESTED_BY = {
    "analysis/coverage_clips.py": "test_report_coverage.py",
    "analysis/coverage_report.py": "test_report_coverage.py",
    "analysis/label_analysis_files.py": "test_analyze_labels.py",
    "analysis/label_summary.py": "test_analyze_labels.py",
    "analysis/label_summary_text.py": "test_analyze_labels.py",
    "download/file_check.py": "test_released_files.py",
    "download/part_files.py": "test_fetch.py",
    "download/released_folder.py": "test_download_labels.py",
    "labels/agreement_text.py": "test_framed_agreement.py",
    "labels/explicit_negatives.py": "test_framed_agreement.py",
    "labels/label_checks.py": "test_label_files.py",
    "labels/label_columns.py": "test_label_files.py",
    "labels/label_lines.py": "test_label_files.py",
    "labels/label_text.py": "test_label_files.py",
    "labels/problems.py": "test_label_files.py",
    "features/log_mel_graph.py": "test_log_mel.py",
    "records/folder_view.py": "test_records_info.py",
    "storage_listing.py": "test_storage.py",
    "evaluation/alignment.py": "test_ground_truth.py",
    "evaluation/event_inputs.py": "test_event_scores.py",
    "evaluation/event_results.py": "test_event_scores.py",
    "evaluation/report_class_table.py": "test_report.py",
    "evaluation/report_markdown.py": "test_report.py",
    "evaluation/report_names.py": "test_report.py",
    "evaluation/report_numbers.py": "test_report.py",
    "evaluation/report_overall.py": "test_report.py",
    "evaluation/report_roc.py": "test_report.py",
    "evaluation/report_script.py": "test_report_browser.py",
    "evaluation/report_text.py": "test_report.py",
    "evaluation/score_checks.py": "test_score_files.py",
    "evaluation/score_evaluation.py": "test_evaluate.py",
    "evaluation/score_table_lines.py": "test_score_tables.py",
    "evaluation/truth_mapping.py": "test_truth_files.py",
    "evaluation/candidates.py": "test_mine_candidates.py",
    "evaluation/file_evaluation.py": "test_evaluate.py",
    "evaluation/report_content.py": "test_report.py",
    "evaluation/report_page.py": "test_report.py",
    "evaluation/report_plot.py": "test_report.py",
    "evaluation/report_style.py": "test_report.py",
    "evaluation/report_tables.py": "test_report.py",
    "simulation/active_regions.py": "test_synthetic_sounds.py",
    "simulation/candidates.py": "test_make_soundscapes.py",
    "simulation/clip_files.py": "test_make_soundscapes.py",
    "simulation/esc50.py": "test_sound_sources.py",
    "simulation/release.py": "test_make_soundscapes.py",
    "simulation/release_labels.py": "test_make_soundscapes.py",
    "simulation/sound_classes.py": "test_sound_sources.py",
    "simulation/soundscape_params.py": "test_run_flags.py",
    "simulation/synthesis.py": "test_synthetic_sounds.py",
    "simulation/synthetic_noises.py": "test_synthetic_sounds.py",
    "simulation/synthetic_tones.py": "test_synthetic_sounds.py",
    "annotate_candidates.py": "test_make_soundscapes.py",
    "errors.py": "test_bad_input.py",
    "export_saved_model.py": "test_saved_model.py",
    "prepare_records.py": "test_bad_input.py",
    "score_records.py": "test_scoring.py",
    "train.py": "test_trainer.py",
}


def _name(path):
    return str(path.relative_to(_PACKAGE))


def _imports(path):
    """Names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def test_labels_and_metrics_do_without_tensorflow():
    names = [
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in _LIBRARIES
        if path.parent.name in _WITHOUT_TENSORFLOW
    ]
    code = (
        f"import importlib, sys\n"
        f"for name in {names}:\n"
        f"    importlib.import_module(name)\n"
        f"print([m for m in ('tensorflow', 'keras') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", _LIBRARIES, ids=_name)
def test_libraries_read_no_flags(path):
    imports = set(_imports(path))
    assert not imports & {"absl.flags", "absl.app", "argparse"}
    assert "audioset_strong.run_flags" not in imports


@pytest.mark.parametrize(
    "path", [p for p in _LIBRARIES if p.parent.name in _ORDER], ids=_name
)
def test_imports_follow_the_data_flow(path):
    later = _ORDER[_ORDER.index(path.parent.name) + 1 :]
    found = {
        name.split(".")[1]
        for name in _imports(path)
        if "." in name and name.startswith("audioset_strong.")
    }
    assert not found & {*later, "simulation"}


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_every_module_has_tests(path):
    test_name = _TESTED_BY.get(_name(path), f"test_{path.name}")
    assert (_ROOT / "tests" / test_name).exists()


def test_the_list_of_modules_tested_elsewhere_is_true():
    for name in _TESTED_BY:
        assert (_PACKAGE / name).exists()
