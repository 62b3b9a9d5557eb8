import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentence_ordering.model.batching import batch_by_length, group_stream, map_ahead, pad_rows


def counted(items, read):
    for item in items:
        read.append(item)
        yield item


def broken(items):
    yield from items
    raise OSError("the stream broke")


class TestGroupStream:
    def test_groups_are_complete_when_they_reach_the_size(self):
        assert list(group_stream([2, 1, 5, 1, 1], lambda item: item, 3)) == [[2, 1], [5], [1, 1]]

    def test_no_more_is_read_than_the_group(self):
        read = []
        groups = group_stream(counted(range(100), read), lambda item: 1, 4)
        assert read == []
        assert next(groups) == [0, 1, 2, 3] == read

    def test_error_comes_behind_what_came_before_it(self):
        groups = group_stream(broken("abc"), len, 2)
        assert [next(groups), next(groups)] == [["a", "b"], ["c"]]
        with pytest.raises(OSError, match="the stream broke"):
            next(groups)


@pytest.mark.parametrize("workers", [0, 1, 3])
class TestMapAhead:
    def test_results_are_in_the_order_of_the_items(self, workers):
        assert list(map_ahead(str, range(9), workers)) == [*"012345678"]

    def test_no_more_is_read_than_the_workers_take(self, workers):
        read = []
        results = map_ahead(str, counted(range(100), read), workers)
        assert [next(results), next(results)] == ["0", "1"]
        assert len(read) == 2 + workers

    def test_errors_come_behind_the_results_before_them(self, workers):
        for results in (map_ahead(int, broken("12"), workers), map_ahead(int, "12x3", workers)):
            assert [next(results), next(results)] == [1, 2]
            with pytest.raises((OSError, ValueError)):
                next(results)

    def test_stream_is_read_in_the_callers_thread(self, workers):
        reading = (threading.get_ident() for _ in range(3))
        working = list(map_ahead(lambda reader: (reader, threading.get_ident()), reading, workers))
        assert {reader for reader, _ in working} == {threading.get_ident()}
        assert ({worker for _, worker in working} == {threading.get_ident()}) == (workers == 0)


class TestBatchByLength:
    def test_longest_come_first_and_ties_in_order(self):
        batches = batch_by_length([3, 9, 4, 8, 4], max_rows=2)
        assert [batch.tolist() for batch in batches] == [[1, 3], [2, 4], [0]]

    def test_tokens_of_a_batch_include_padding(self):
        batches = batch_by_length([5, 4, 1, 11, 2], max_rows=1, max_tokens=10)
        assert [batch.tolist() for batch in batches] == [[3], [0, 1], [4, 2]]

    def test_equal_lengths_are_never_padded(self):
        batches = batch_by_length([2, 3, 2, 3, 2], max_rows=2, equal_lengths=True)
        assert [batch.tolist() for batch in batches] == [[1, 3], [0, 2], [4]]

    def test_nothing_makes_no_batch(self):
        assert batch_by_length([], max_rows=2) == []

    @given(
        lengths=st.lists(st.integers(1, 30)),
        max_rows=st.integers(1, 5),
        max_tokens=st.none() | st.integers(1, 60),
        equal_lengths=st.booleans(),
    )
    def test_every_row_is_in_one_batch_within_the_limits(self, lengths, max_rows, max_tokens, equal_lengths):
        batches = batch_by_length(lengths, max_rows=max_rows, max_tokens=max_tokens, equal_lengths=equal_lengths)
        assert sorted(np.concatenate([[], *batches])) == list(range(len(lengths)))
        for batch in batches:
            longest = max(lengths[row] for row in batch)
            if max_tokens is None:
                assert len(batch) <= max_rows
            else:
                assert len(batch) == 1 or longest * len(batch) <= max_tokens
            assert not equal_lengths or len({lengths[row] for row in batch}) == 1


class TestPadRows:
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_rows_are_padded_at_their_ends(self, side, tokenizer):
        tokenizer.padding_side = side
        batch = pad_rows([[7, 8, 9], [5]], tokenizer)
        tokenizer.padding_side = "right"
        pad = tokenizer.pad_token_id
        assert {name: values.tolist() for name, values in batch.items()} == {
            "input_ids": [[7, 8, 9], [5, pad, pad]],
            "attention_mask": [[1, 1, 1], [1, 0, 0]],
        }

    def test_only_rows_of_different_length_need_a_pad_token(self, tokenizer):
        without = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]")
        assert pad_rows([[7, 8], [5, 6]], without)["input_ids"].tolist() == [[7, 8], [5, 6]]
        with pytest.raises(ValueError, match="has no pad token"):
            pad_rows([[7, 8], [5]], without)
