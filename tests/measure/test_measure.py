"""Which protocol measures which columns: what is asked for and would not be read is refused."""

import pytest

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput

ROWS = [{"text": f"a text of {row}", "kind": "ab"[row % 2], "answer": f"another {row}"} for row in range(20)]


@pytest.fixture(scope="module")
def model() -> Raw2Vec:
    return Raw2Vec(size="tiny", steps=1).fit(ROWS, input="text", target="answer")


@pytest.mark.parametrize(
    ("protocol", "asked", "sentence"),
    [
        (
            "classification",
            {"label": "kind", "target": "answer"},
            "'classification' measures without a target: .*--target",
        ),
        ("space", {"target": "answer"}, "'space' measures without a target"),
        (
            "retrieval",
            {"target": "answer", "label": "kind"},
            "'retrieval' measures without a label: leave out --label kind",
        ),
    ],
)
def test_a_column_that_the_protocol_does_not_read_is_refused(model, protocol, asked, sentence):
    with pytest.raises(BadInput, match=sentence):
        model.evaluate(ROWS, protocol, input="text", **asked)


def test_the_model_s_own_columns_are_no_trouble_to_a_protocol_that_reads_one(model):
    assert model.evaluate(ROWS, "space").items == 20
    assert model.evaluate(ROWS).protocol.startswith("retrieval")
