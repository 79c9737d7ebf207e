"""The page: HTML that holds all clips, or asks a server for each.

The page is one document that loads nothing else from anywhere. Texts from files
(segment ids, names of classes, notes) reach it as JSON and are shown as text,
never as markup. A Content-Security-Policy lets only the page's own script and
style run, known by their hashes.
"""

import base64
import hashlib
import json
import os
import tempfile
from typing import Any

from tqdm import tqdm

from audioset_strong.errors import InputError
from audioset_strong.files import open_output
from audioset_strong.inspection.clips import FRAME_SECONDS, Inspection
from audioset_strong.params import FeatureParams

_TYPES = {
    ".flac": "audio/flac",
    ".png": "image/png",
    ".f32": "application/octet-stream",
}


def content_type(name: str) -> str:
    """Returns the media type of a clip's file."""
    return _TYPES[os.path.splitext(name)[1]]


def write_page(inspection: Inspection, path: str, max_megabytes: float) -> int:
    """Writes a page that holds all clips.

    Args:
      inspection: What to show.
      path: HTML file to write.
      max_megabytes: The most that it may hold.

    Returns:
      Its number of bytes.

    Raises:
      InputError: It would be larger.
    """
    clips, num_bytes = [], 0
    numbers = range(len(inspection.segment_ids))
    for number in tqdm(numbers, unit="clip", leave=False):
        with tempfile.TemporaryDirectory() as folder:
            known = inspection.prepare(number, folder)
            contents = _read_files(folder)
            clips.append(_as_script(_with_contents(known, contents)))
        num_bytes += len(clips[-1])
        if num_bytes > max_megabytes * 1e6:
            raise InputError(
                f"{path} would be larger than {max_megabytes:g} MB: clip "
                f"{number + 1} of {len(numbers)} fills it. Give fewer clips "
                f"(segment_ids, max_clips), allow more (max_megabytes), or "
                f"have them served (serve)."
            )
    with open_output(path) as file:
        file.write(render_page(inspection, clips))
    return os.path.getsize(path)


def _as_script(value: Any) -> str:
    """Writes JSON that can stand in a script element, whatever it holds."""
    return json.dumps(value).replace("<", "\\u003c")


def _read_files(folder: str) -> dict[str, str]:
    """Reads the files of a clip as data URLs, by name."""
    contents = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            content = base64.b64encode(file.read()).decode()
        contents[name] = f"data:{content_type(name)};base64,{content}"
    return contents


def _with_contents(value: Any, contents: dict[str, str]) -> Any:
    """Replaces the names of files in a clip's JSON by what they hold."""
    if isinstance(value, dict):
        return {k: _with_contents(v, contents) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_with_contents(inner, contents) for inner in value]
    return contents.get(value, value) if isinstance(value, str) else value


def render_page(inspection: Inspection, clips: list[str] | None = None) -> str:
    """Returns the HTML; `clips` is the JSON of each, None for a server."""
    # Only a page needs Jinja2.
    import jinja2

    environment = jinja2.Environment(
        # The style of a report is this page's, too.
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("audioset_strong.inspection", ""),
                jinja2.PackageLoader("audioset_strong.evaluation", ""),
            ]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    features = FeatureParams()
    style, script = (
        "\n" + environment.get_template(name).render() + "\n"
        for name in ("inspect.css", "inspect.js")
    )
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"script-src {_hash_source(script)}; style-src {_hash_source(style)}; "
        f"img-src 'self' data:; media-src 'self' blob:; connect-src 'self'"
    )
    return environment.get_template("inspect.html.jinja").render(
        policy=policy,
        style=style,
        script=script,
        num_clips=len(inspection.segment_ids),
        errors=inspection.errors,
        has_thresholds=any(t is not None for _, _, t in inspection.classes),
        clips=clips,
        page={
            "segment_ids": inspection.segment_ids,
            "classes": inspection.classes,
            "labelled": inspection.labelled_classes(),
            "errors": inspection.errors,
            "frame_seconds": FRAME_SECONDS,
            "mel_min_hz": features.mel_min_hz,
            "mel_max_hz": features.mel_max_hz,
        },
    )


def _hash_source(text: str) -> str:
    """Names an inline script or style in a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
