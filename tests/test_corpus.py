"""The corpus on disk: what is written is read, whatever the blocks, and nothing counts before it is whole."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.corpus import Corpus, Writer
from raw2vec.ragged import Ragged

items = st.lists(st.integers(0, 65535), max_size=6)
blocks = st.lists(st.lists(st.tuples(items, items), min_size=1, max_size=5), min_size=1, max_size=4)


def ragged(sequences: list[list[int]]) -> Ragged:
    return Ragged.of([torch.tensor(sequence, dtype=torch.long) for sequence in sequences])


@settings(max_examples=40, deadline=None)
@given(blocks, st.sampled_from([200, 1 << 16, (1 << 16) + 1]), st.booleans())
def test_what_is_written_is_read(held, vocabulary, labelled) -> None:
    rows = [row for block in held for row in block]
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder), ["a", "b"], vocabulary)
        number = 0
        for block in held:
            places = np.arange(number, number + len(block))
            sides = [ragged([row[column] for row in block]) for column in (0, 1)]
            writer.add(sides, places % 3 == 0, places * 1.5 if labelled else None)
            number += len(block)
        writer.close()
        corpus = Corpus.open(Path(folder))
        assert (len(corpus), corpus.columns) == (len(rows), ("a", "b"))
        assert corpus.values.dtype == (np.uint16 if vocabulary <= 65536 else np.uint32)
        assert corpus.held.tolist() == [n % 3 == 0 for n in range(len(rows))]
        assert (corpus.labels is not None) == labelled
        if corpus.labels is not None:
            assert corpus.labels.tolist() == [n * 1.5 for n in range(len(rows))]
        order = np.random.default_rng(0).integers(0, len(rows), 7)
        for columns in (0, 1, order % 2):
            found = corpus.gather(order, columns)
            wanted = [rows[row][column] for row, column in zip(order, np.broadcast_to(columns, 7), strict=True)]
            assert [item.tolist() for item in found.items()] == wanted
            assert found.values.dtype == torch.int64
        del corpus, found


def test_items_of_one_size_are_gathered_from_any_column_and_block(tmp_path: Path) -> None:
    writer = Writer(tmp_path, ["a", "b"], 0)
    pictures = torch.arange(5 * 2 * 6, dtype=torch.uint8).view(5, 2, 6, 1)
    for block in (pictures[:2], pictures[2:]):
        sides = [Ragged(block[:, column].flatten(0, 1), torch.tensor([[2, 3]] * len(block))) for column in (0, 1)]
        writer.add(sides, np.zeros(len(block), np.bool_))
    found = writer.close().gather(np.array([4, 0, 3]), np.array([1, 0, 1]))
    assert found.values.dtype == torch.uint8
    assert found.shapes.tolist() == [[2, 3]] * 3
    assert found.values.equal(torch.cat([pictures[4, 1], pictures[0, 0], pictures[3, 1]]))


def test_the_largest_ids_survive(tmp_path: Path) -> None:
    for number, (largest, vocabulary) in enumerate([(65535, 65536), (2**32 - 1, 2**32)]):
        writer = Writer(tmp_path / str(number), ["a"], vocabulary)
        writer.add([ragged([[0, largest]])], np.zeros(1, np.bool_))
        assert writer.close().gather(np.array([0]), 0).values.tolist() == [0, largest]


def test_a_corpus_that_was_not_finished_does_not_open(tmp_path: Path) -> None:
    def write(close: bool) -> None:
        writer = Writer(tmp_path, ["a"], 100)
        writer.add([ragged([[1, 2]])], np.zeros(1, np.bool_))
        if close:
            writer.close()

    write(close=True)
    write(close=False)
    with pytest.raises(FileNotFoundError, match=r"corpus\.json"):
        Corpus.open(tmp_path)


def test_no_rows_gathered_is_no_ids(tmp_path: Path) -> None:
    writer = Writer(tmp_path, ["a"], 100)
    writer.add([ragged([[1, 2]])], np.zeros(1, np.bool_))
    empty = writer.close().gather(np.empty(0, np.int64), 0)
    assert (len(empty), empty.values.shape) == (0, (0,))
