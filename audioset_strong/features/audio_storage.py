"""Lists the audio files of a folder that may be in object storage."""

from audioset_strong import storage
from audioset_strong.features import audio_listing
from audioset_strong.storage_listing import list_files


def list_audio(audio_dir: str) -> audio_listing.AudioListing:
    """Lists the files below a local or remote folder, with all its subfolders.

    Args:
      audio_dir: The folder; of one that is not there nothing is listed.

    Raises:
      OSError: Object storage that cannot be listed.
    """
    if not storage.is_remote(audio_dir):
        return audio_listing.list_audio_files(audio_dir)
    listing = audio_listing.make_listing()
    for path, num_bytes in list_files(audio_dir, _has_audio_extension):
        audio_listing.sort_file(path, num_bytes, listing)
    return listing


def _has_audio_extension(name: str) -> bool:
    return name.lower().endswith(audio_listing.AUDIO_EXTENSIONS)
