"""Arrays, pictures and folders as rows: what goes in comes out as items, and nothing is left out in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.rows import Arrays, Files, Memory, Objects, Rows, item_column, open_rows

TYPES = st.sampled_from([np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.dtype(">f4")])
STACKS = arrays.arrays(TYPES, arrays.array_shapes(min_dims=3, max_dims=4, max_side=5))
ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def items(rows: Rows, name: str | None = None, size: int = 3) -> list[Any]:
    name = rows.columns[0] if name is None else name
    batches = list(rows.batches(size))
    assert all(0 < len(batch) <= size for batch in batches)
    assert len({batch.schema for batch in batches}) == 1
    return [item for batch in batches for item in item_column(batch, name)]


def same(found: list[Any], wanted: Any) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)


@ANY
@given(stack=STACKS)
def test_any_stack_comes_back(tmp_path: Path, stack: Any) -> None:
    np.save(tmp_path / "x.npy", stack)
    memory, file = open_rows(stack), open_rows(tmp_path / "x.npy")
    assert isinstance(memory, Arrays)
    assert (memory.columns, memory.kind, memory.alike) == (file.columns, file.kind, file.alike)
    for rows in (memory, file, open_rows(list(stack)), open_rows({"x": list(stack)})):
        same(items(rows), stack)
    assert memory.fingerprint() == file.fingerprint()


@ANY
@given(parts=st.lists(arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0)), min_size=1))
def test_any_shapes_come_back(parts: list[Any]) -> None:
    some = [None, *parts, None]
    rows = open_rows(some)
    assert isinstance(rows, Objects)
    same(items(rows), some)
    assert rows.alike == (len({part.shape for part in parts}) == 1)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.zeros((2, 3, 4), np.uint8), "image"),
        (np.zeros((2, 3, 4), np.bool_), "image"),
        (np.zeros((2, 3, 4, 3)), "image"),
        (np.zeros((2, 3, 4)), "series"),
        (np.zeros((2, 3, 4), np.int64), "series"),
    ],
)
def test_kinds(array: Any, kind: str) -> None:
    rows = open_rows(array)
    assert (rows.kind, rows.columns, rows.where(1)) == (kind, [kind], "the data, item 1")
    assert open_rows(list(array)).kind == kind
    assert open_rows(array).fingerprint() != open_rows(array[:1]).fingerprint()


def test_kinds_of_lists() -> None:
    assert open_rows([np.zeros(3), np.zeros(5)]).kind == "series"
    assert open_rows([np.zeros(3, np.int16)]).kind == "audio"
    assert open_rows([(np.zeros(3), 8000)]).kind == "audio"
    assert isinstance(open_rows([["a", "b"]]), Memory)
    assert isinstance(open_rows(np.zeros((3, 2))), Memory)
    assert isinstance(open_rows({"x": np.zeros((3, 2)), "y": [1, 2, 3]}), Memory)


def test_a_file_is_mapped_and_white_is_255(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 2, 2), np.bool_))
    same(items(open_rows(tmp_path / "x.npy")), np.full((4, 2, 2), 255))
    np.save(tmp_path / "y.npy", np.zeros((4, 2, 2)))
    rows = Arrays.open(tmp_path / "y.npy")
    assert isinstance(rows._arrays["series"], np.memmap)


def test_a_table(tmp_path: Path) -> None:
    table = np.array([[1, np.nan, 3], [4, 5, 6]], np.float32)
    np.save(tmp_path / "x.npy", table)
    rows = open_rows(tmp_path / "x.npy", ["0", "2"])
    assert (rows.kind, rows.columns) == ("table", ["0", "1", "2"])
    assert next(rows.batches()).to_pylist() == [{"0": 1, "1": None, "2": 3}, {"0": 4, "1": 5, "2": 6}]
    np.save(tmp_path / "y.npy", np.arange(3))
    assert next(open_rows(tmp_path / "y.npy").batches()).to_pydict() == {"0": [0, 1, 2]}


def test_the_arrays_of_an_npz_that_go_together(tmp_path: Path) -> None:
    train, test = np.arange(24, dtype=np.uint8).reshape(4, 2, 3), np.zeros((2, 2, 3), np.uint8)
    named = {
        "y_train": np.arange(4),
        "x_train": train,
        "x_test": test,
        "y_test": np.array(["a", "b"]),
        "n": np.array(3),
    }
    np.savez_compressed(tmp_path / "x.npz", **named)  # type: ignore[arg-type]
    rows = open_rows(tmp_path / "x.npz", ["image"])
    assert (rows.columns, rows.kind) == (["x_train", "y_train"], "image")
    assert rows.column("image") == "x_train"
    assert [sentence.split("'")[1] for sentence in rows.skipped] == ["x_test", "y_test"]
    same(items(rows), train)
    other = open_rows(tmp_path / "x.npz", ["x_test"])
    assert other.columns == ["x_test", "y_test"]
    assert next(other.batches()).column("y_test").to_pylist() == ["a", "b"]
    np.savez(tmp_path / "t.npz", X=np.ones((4, 2)), y=np.arange(4))
    table = open_rows(tmp_path / "t.npz", ["y"])
    assert (table.columns, table.kind) == (["0", "1", "y"], "table")
    assert open_rows(tmp_path / "x.npz", ["y_test"]).columns == ["x_test", "y_test"]


def test_labels_beside_arrays() -> None:
    stack, labels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3), ["a", "b", None, "d"]
    for data, names in (
        ({"image": stack, "label": labels}, ["image", "label"]),
        ({"image": list(stack), "label": np.array(labels, object)}, ["image", "label"]),
        ([{"image": part, "label": label} for part, label in zip(stack, labels, strict=True)], ["image", "label"]),
        (list(zip(stack, labels, strict=True)), ["0", "1"]),
        (iter(list(zip(stack, labels, strict=True))), ["0", "1"]),
    ):
        rows = open_rows(data)
        assert (rows.columns, rows.kind) == (names, "image")
        same(items(rows, names[0]), stack)
        assert [x for batch in rows.batches(3) for x in batch.column(names[1]).to_pylist()] == labels


def test_sounds_with_their_rates() -> None:
    sounds = [(np.arange(3, dtype=np.int16), 8000), None, (np.zeros((4, 2), np.int16), 16000)]
    found = items(open_rows(sounds))
    assert found[1] is None
    assert (found[0][0].tolist(), found[0][1]) == ([0, 1, 2], 8000)
    assert (found[2][0].tolist(), found[2][1]) == ([[0, 0]] * 4, 16000)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_pil_images(mode: str, tmp_path: Path) -> None:
    picture = Pillow.new(mode, (3, 2))
    found = items(open_rows([picture, None]))
    assert found[1] is None
    (tmp_path / "x").write_bytes(found[0]["bytes"])
    with Pillow.open(tmp_path / "x") as again:
        again.load()
        assert again.size == (3, 2)
        assert again.convert("RGB").tobytes() == picture.convert("RGB").tobytes()


def test_a_truncated_pil_image(tmp_path: Path) -> None:
    Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)).save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[: len(content) // 2])
    with Pillow.open(tmp_path / "x.png") as picture, pytest.raises(BadInput, match="Picture 1 cannot be read"):
        list(open_rows([Pillow.new("L", (2, 2)), picture]).batches())


@ANY
@given(stack=arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=4, max_side=4)))
def test_nested_lists_are_arrays(stack: Any) -> None:
    table = pa.table({"x": pa.array([*stack.tolist(), None])})
    same(item_column(table, "x"), [*stack, None])
    same(item_column(pa.concat_tables([table, table]).slice(1), "x"), [*stack[1:], None, *stack, None])


def test_tensors_with_nothing_in_some_rows(tmp_path: Path) -> None:
    stack = np.arange(12, dtype=np.int16).reshape(2, 3, 2)
    kind = pa.fixed_shape_tensor(pa.int16(), (3, 2))
    storage = pa.array([list(range(6)), None, list(range(6, 12))], kind.storage_type)
    table = pa.table({"x": pa.ExtensionArray.from_storage(kind, storage)})
    same(item_column(table, "x"), [stack[0], None, stack[1]])
    same(item_column(table.slice(1), "x"), [None, stack[1]])
    pq.write_table(table, tmp_path / "x.parquet")
    same(items(open_rows(tmp_path / "x.parquet"), "x"), [stack[0], None, stack[1]])


def test_numbers_that_are_missing_within_a_list() -> None:
    (found,) = item_column(pa.table({"x": [[[1.0, None], [3.0, 4.0]]]}), "x")
    np.testing.assert_array_equal(found, [[1, np.nan], [3, 4]])
    assert item_column(pa.table({"x": pa.array(["a", None]).dictionary_encode()}), "x") == ["a", None]


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode())
    return path


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    rows = open_rows(folder(tmp_path / "p", "cat/1.png", "cat/old/2.JPG", "dog/3.webp", "0.gif", ".x/4.png", "a.csv"))
    assert isinstance(rows, Files)
    assert (rows.kind, rows.columns, rows.skipped) == ("image", ["path", "label"], ["a.csv: no picture"])
    found = [row for batch in rows.batches(3) for row in batch.to_pylist()]
    assert [(Path(row["path"]).name, row["label"]) for row in found] == [
        ("0.gif", None),
        ("1.png", "cat"),
        ("2.JPG", "cat"),
        ("3.webp", "dog"),
    ]
    assert rows.where(1).endswith("1.png")
    before = rows.fingerprint()
    assert Files(tmp_path / "p").fingerprint() == before
    (tmp_path / "p" / "cat" / "1.png").write_bytes(b"other")
    assert rows.fingerprint() != before


def test_a_folder_of_sounds_and_a_single_file(tmp_path: Path) -> None:
    rows = open_rows(str(folder(tmp_path / "s", "1.wav", "2.flac")))
    assert (rows.kind, rows.columns) == ("audio", ["path"])
    assert open_rows(tmp_path / "s" / "1.wav").columns == ["path"]
    assert next(open_rows(tmp_path / "s" / "2.flac").batches()).to_pylist() == [
        {"path": str(tmp_path / "s" / "2.flac")}
    ]


def test_data_beside_a_few_pictures(tmp_path: Path) -> None:
    folder(tmp_path, "logo.png")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\nx\n")
    assert open_rows(tmp_path).columns == ["text"]


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds 1 pictures and 1 sounds: keep those of one kind"):
        open_rows(folder(tmp_path, "1.wav", "2.png"))


def test_bad_files(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}], object))
    np.save(tmp_path / "complex.npy", np.zeros((2, 2, 2), complex))
    np.save(tmp_path / "empty.npy", np.zeros((2, 0, 2)))
    np.save(tmp_path / "none.npy", np.zeros((0, 2, 2)))
    np.save(tmp_path / "scalar.npy", np.array(3.0))
    np.save(tmp_path / "short.npy", np.zeros((9, 9, 9)))
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:500])
    np.savez(tmp_path / "short.npz", x=np.zeros((9, 9, 9)))
    (tmp_path / "short.npz").write_bytes((tmp_path / "short.npz").read_bytes()[:500])
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "zero.npy").write_bytes(b"")
    for name, sentence in {
        "objects.npy": "holds Python objects.*different lengths as a parquet.*a folder of .npy files",
        "objects.npz": "holds Python objects",
        "complex.npy": "holds complex128, not plain numbers",
        "empty.npy": r"has the shape \(2, 0, 2\): its rows are empty",
        "none.npy": "holds no rows",
        "scalar.npy": "holds no array with rows",
        "short.npy": "cannot be read",
        "short.npz": "cannot be read",
        "text.npy": "cannot be read",
        "zero.npy": "cannot be read",
    }.items():
        with pytest.raises(BadInput, match=f"{name}.*{sentence}"):
            open_rows(tmp_path / name)


def test_bad_objects() -> None:
    for data, sentence in (
        ([np.zeros((2, 2)), "a"], "Item 1 of 'series' is a str, the first is a ndarray"),
        ([np.zeros((2, 2), np.uint8), np.zeros((2, 2))], r"of several types \(float64 and uint8\)"),
        ({"x": [np.zeros((2, 2))], "y": [1, 2]}, "The columns differ in length: x 1, y 2"),
    ):
        with pytest.raises(BadInput, match=sentence):
            open_rows(data)
    for table, sentence in (
        ({"x": [[[1], [1, 2]]]}, r"uneven lists \(lengths 1, 2\)"),
        ({"x": [[["a"]]]}, "holds lists of string"),
        ({"x": [1]}, "Column 'x' holds int64: name one of arrays"),
        ({"y": [1]}, "There is no column 'x'"),
    ):
        with pytest.raises(BadInput, match=sentence):
            item_column(pa.table(table), "x")


def test_an_array_of_two_axes_is_series_where_it_is_said(tmp_path: Path) -> None:
    waves = np.sin(np.linspace(0, 90, 60 * 30)).reshape(60, 30)
    np.save(tmp_path / "waves.npy", waves)
    assert open_rows(waves).kind is None
    for data in (waves, str(tmp_path / "waves.npy")):
        rows = open_rows(data, kind="series")
        assert (rows.kind, rows.columns) == ("series", ["series"])
        model = Raw2Vec("reconstruction", kind="series", latent=3, size="tiny", steps=2).fit(data)
        assert model.decode(model.encode(waves)).shape == waves.shape


@pytest.mark.parametrize("channels", [(), (2,)])
def test_a_folder_of_series_of_any_lengths(tmp_path: Path, channels: tuple[int, ...]) -> None:
    waves = [np.random.default_rng(n).normal(size=(5 + n % 3, *channels)) for n in range(30)]
    for number, wave in enumerate(waves):
        np.save(tmp_path / f"{number:02d}.npy", wave)
    rows = open_rows(tmp_path, kind="series")
    assert (rows.kind, rows.columns, rows.skipped) == ("series", ["path"], [])
    for data in (tmp_path, _objects_of(waves)):
        model = Raw2Vec("reconstruction", kind="series", latent=3, size="tiny", steps=1).fit(data)
        assert [item.shape for item in model.reconstruct(waves)] == [wave.shape for wave in waves]
        np.testing.assert_array_equal(model.encode(_objects_of(waves)), model.encode(waves))
    paths = [str(tmp_path / "00.npy"), tmp_path / "01.npy"]
    np.testing.assert_array_equal(model.encode(paths), model.encode(waves[:2]))
    assert model.encode(paths[0]).shape == (3,)
    (tmp_path / "03.npy").write_text("hello")
    with pytest.raises(BadInput, match=r"03\.npy\) cannot be read \(it is no \.npy file of plain numbers\)"):
        Raw2Vec("reconstruction", kind="series", latent=3, size="tiny", steps=1).fit(tmp_path)


def _objects_of(waves: list[Any]) -> Any:
    """An array of arrays, as NumPy has those of different shapes."""
    made = np.empty(len(waves), object)
    made[:] = waves
    return made


def test_nested_lists_are_series_where_it_is_said() -> None:
    waves = [[0.5, None, 2], [1.0, 2.0]]
    found = next(open_rows(waves, kind="series").batches())
    for item, wave in zip(item_column(found, "series"), waves, strict=True):
        np.testing.assert_array_equal(item, np.array(wave, np.float64))
    assert open_rows([[np.zeros(3), 1], [np.ones(2), 0]], kind="series").columns == ["0", "1"]
    assert open_rows(waves[1:]).columns == ["0", "1"]


def test_files_of_many_series_each_are_read_as_one(tmp_path: Path) -> None:
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", np.zeros((3, 4, 2)))
    rows = open_rows(tmp_path, kind="series")
    assert sum(len(batch) for batch in rows.batches()) == 6
