"""Many records parsed at once are the records parsed one by one."""

import numpy as np
import pytest
import tensorflow as tf
from pinned_records import write_pinned_records

from audioset_strong.records.examples import parse_records
from audioset_strong.records.parse import parse_record


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("label_set", ["weak", "strong"])
def test_together_as_one_by_one(tmp_path, dtype, label_set):
    records = write_pinned_records(tmp_path, dtype)
    paths = [records.path_of(shard) for shard in records.shards]
    serialized = list(tf.data.TFRecordDataset(paths))
    settings = (label_set, records.features, dtype)
    together = parse_records(tf.stack(serialized), *settings)
    alone = [parse_record(record, *settings) for record in serialized]
    assert 0 < sum(together.is_known.numpy()) < len(serialized)
    for number, record in enumerate(alone):
        assert together.segment_id[number] == record.segment_id
        assert together.num_stft_frames[number] == record.num_stft_frames
        is_known = label_set.encode() in record.label_source.numpy()
        assert together.is_known[number] == is_known
        for several, one in zip(together.log_mel, record.log_mel):
            assert (several is None) == (one is None)
            assert one is None or several[number] == one
        is_of_clip = together.events.clip_number == number
        for several, one in zip(together.events[1:], record.events):
            np.testing.assert_array_equal(several[is_of_clip], one)
