"""Arguments reach the facade as they were meant, and what it gives is told to a person and to a program."""

import json
import sys
from pathlib import Path

import facade_double
import pytest
from rich.console import Console

KEYS = {"metrics", "baselines", "items", "seconds", "items_per_s", "engine", "truncated", "out"}


def answer(result) -> dict:
    """The one JSON object on standard output."""
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_fit_hands_on_what_was_said(run, asked):
    words = "--kind pairs --input query --target code --objective contrastive --encoder dense --latent 64 --size tiny"
    result = run("fit", "pairs.jsonl", "--out", "m", *words.split(), "--minutes", "2", "--seed", "3", "--resume")
    assert result.exit_code == 0, result.output
    assert asked("init") == [
        {
            "kind": "pairs",
            "objective": "contrastive",
            "encoder": "dense",
            "latent": 64,
            "size": "tiny",
            "minutes": 2.0,
            "seed": 3,
            "settings": None,
            "device": None,
        }
    ]
    assert asked("fit") == [
        {
            "data": "pairs.jsonl",
            "input": "query",
            "target": "code",
            "label": None,
            "dev": None,
            "out": "m",
            "resume": True,
        }
    ]


def test_fit_says_nothing_of_what_was_not_said(run, asked):
    run("fit", "notes.txt", "--out", "m")
    assert asked("init") == [{"settings": None, "device": None}]


def test_several_files_are_read_one_after_the_other(run, asked, tmp_path):
    (tmp_path / "more.jsonl").write_text('{"body": "a"}\n')
    (tmp_path / "most.csv").write_text("body\nb\n")
    run("fit", "more.jsonl", "most.csv", "--input", "body", "--out", "m")
    rows = asked("fit")[0]["data"]
    assert rows.name == "more.jsonl and 1 more"
    assert [cell for batch in rows.batches() for cell in batch.column("body").to_pylist()] == ["a", "b"]
    result = run("fit", "more.jsonl", "tickets.csv", "--out", "m")
    assert result.exit_code == 2
    assert "the same columns" in result.stderr


def test_settings_are_json_where_they_can_be(run, asked):
    words = ["encoder.layers=2", "training.optimizer=muon", "raw.long=a=b", "stages.0.frozen=[]", "raw.x=null"]
    run("fit", "notes.txt", "--out", "m", *[part for word in words for part in ("--set", word)])
    assert asked("init")[0]["settings"] == {
        "encoder.layers": 2,
        "training.optimizer": "muon",
        "raw.long": "a=b",
        "stages.0.frozen": [],
        "raw.x": None,
    }


def test_a_budget_and_a_seed_change_a_recipe_and_set_has_the_last_word(run, asked, tmp_path):
    (tmp_path / "r.json").write_text("{}")
    run("fit", "notes.txt", "--out", "m", "--recipe", "r.json", "--steps", "9", "--seed", "4", "--set", "seed=5")
    assert asked("init") == [
        {
            "recipe": "r.json",
            "settings": {"training.minutes": None, "training.steps": 9, "seed": 5},
            "device": None,
        }
    ]


def test_fit_sets_the_model_beside_its_baselines(run):
    result = run("fit", "tickets.csv", "--input", "body", "--out", "m")
    lines = result.stdout.splitlines()
    assert lines[0] == "a library prints on standard output"
    assert lines[1] == "m: learned from 1,200 rows (60 held out) in 1:02, 40 steps"
    assert [line.split() for line in lines[4:7]] == [
        ["retrieval/1", "this", "model", "95%", "interval", "BM25", "TF-IDF"],
        ["mrr@10", "0.610", "0.580–0.640", "0.550", "0.700"],
        ["recall@10", "0.800", "–", "0.810", "–"],
    ]
    assert "note: the model does not beat TF-IDF" in result.stdout
    assert lines[-1] == "next: raw2vec index m tickets.csv --input body --store m.store"


def test_one_of_something_is_told_as_one(run, monkeypatch):
    monkeypatch.setattr(facade_double, "REPORT", {**facade_double.REPORT, "items": 1, "steps": 1, "truncated": 1})
    told = run("fit", "tickets.csv", "--out", "m").stdout
    assert "m: learned from 1 row (60 held out) in 1:02, 1 step\n" in told
    assert "1 text was longer than the model takes, and cut\n" in told


def test_after_a_fit_of_pairs_the_targets_are_what_is_to_be_indexed(run):
    lines = run("fit", "pairs.jsonl", "--input", "query", "--target", "code", "--out", "m").stdout.splitlines()
    assert lines[-1] == "next: raw2vec index m pairs.jsonl --input code --store m.store"


@pytest.mark.parametrize(
    ("kind", "suffix"), [("image", ".png"), ("audio", ".wav"), ("series", ".csv"), ("table", ".csv"), ("text", ".txt")]
)
def test_after_a_fit_with_a_way_back_the_next_thing_is_to_go_it(run, monkeypatch, kind, suffix):
    monkeypatch.setattr(facade_double, "REPORT", {**facade_double.REPORT, "kind": kind, "threshold": -1.5})
    lines = run("fit", "tickets.csv", "--input", "body", "--out", "m/").stdout.splitlines()
    assert lines[-1] == f"next: raw2vec reconstruct m/ tickets.csv --input body --out m-back{suffix}"


def test_the_json_of_a_fit_is_one_object_whatever_a_library_prints(run):
    result = run("fit", "tickets.csv", "--out", "m", "--json")
    found = answer(result)
    assert found.keys() >= KEYS
    assert found["metrics"] == {"mrr@10": 0.61, "recall@10": 0.8}
    assert found["baselines"]["BM25"]["mrr@10"] == 0.55
    assert (found["items"], found["truncated"], found["out"], found["engine"]) == (1200, 3, "m", "torch")
    assert found["health"] == {"effective_rank": None}
    assert "a library prints" in result.stderr


def test_embed_and_index_pass_on_how_small_vectors_are(run, asked):
    small = ["--vectors", "int8", "--truncate", "64", "--calibrate", "tickets.csv"]
    result = run("embed", "tickets", "tickets.csv", "--out", "v.npy", *small, "--json")
    assert (result.exit_code, json.loads(result.stdout)["vectors"]) == (0, "int8")
    options = {"vectors": "int8", "truncate_dim": 64, "calibrate": "tickets.csv"}
    assert asked("embed") == [{"data": "tickets.csv", "out": "v.npy", "input": None, "resume": False, **options}]
    run("index", "tickets", "tickets.csv", "--store", "s", "--truncate", "64")
    assert asked("index")[0]["truncate_dim"] == 64
    assert run("embed", "tickets", "tickets.csv", "--out", "v.npy", "--vectors", "int4").exit_code == 2


def test_embed(run, asked):
    result = run("embed", "tickets", "tickets.csv", "--out", "v.npy", "--input", "body", "--resume", "--json")
    found = answer(result)
    assert asked("embed") == [{"data": "tickets.csv", "out": "v.npy", "input": "body", "resume": True}]
    assert (found["items"], found["new"], found["truncated"], found["empty"]) == (20, 15, 12, 1)
    assert found["first_empty"] == 7
    assert found["items_per_s"] > 0
    told = run("embed", "tickets", "tickets.csv", "--out", "v.npy").stdout
    assert "v.npy: 20 rows" in told
    assert "5 from before" in told
    assert "12 texts were longer" in told
    assert "1 row is empty, the first is row 7, counted from 0" in told


def test_a_warning_of_ours_is_said_once_and_never_on_standard_output(run):
    result = run("embed", "tickets", "tickets.csv", "--out", "v.npy", "--json")
    assert answer(result)["out"] == "v.npy"
    assert result.stderr.splitlines() == ["raw2vec: note: 5 of 10 texts were cut"]


def test_index(run, asked):
    found = answer(run("index", "tickets", "tickets.csv", "--store", "s", "--approximate", "--json"))
    assert asked("index")[0] == {
        "data": "tickets.csv",
        "store": "s",
        "input": None,
        "resume": False,
        "approximate": True,
    }
    assert (found["recall"], found["out"]) == (0.987, "s")
    told = run("index", "tickets", "tickets.csv", "--store", "s").stdout
    assert told.splitlines()[-1] == "next: raw2vec search s 'a few words'"
    assert "approximate" not in told


def test_search_finds_the_model_of_the_store(run, asked):
    result = run("search", "tickets.store", "fire", "smoke", "-k", "2", "--where", "id > 3", "--mode", "hybrid")
    assert asked("load") == ["the model of tickets.store"]
    assert asked("search") == [
        {"store": "tickets.store", "queries": ["fire", "smoke"], "k": 2, "where": "id > 3", "mode": "hybrid"}
    ]
    assert "smoke" in result.stdout


def test_stores_of_small_vectors_are_made_and_asked(run, asked):
    run("index", "tickets", "tickets.csv", "--store", "s", "--vectors", "binary")
    assert asked("index")[0]["vectors"] == "binary"
    assert run("index", "tickets", "tickets.csv", "--store", "s", "--vectors", "float16").exit_code == 2
    Path("small.store").mkdir()
    result = run("search", "small.store", "fire", "--rescore", "8", "--json")
    assert asked("search")[0]["rescore"] == 8
    assert answer(result)["mode"] == "rescored"


def test_search_takes_another_model_and_questions_by_line(run, asked):
    result = run("search", "tickets.store", "-", "--model", "finder", "--json", "-k", "1", input="one\n\n two \n")
    found = answer(result)
    assert asked("load") == ["finder"]
    assert [each["query"] for each in found["results"]] == ["one", "two"]
    assert found["results"][0]["hits"][0].keys() == {"row", "score", "columns"}
    assert found["items"] == 2


def test_what_is_found_cannot_command_the_terminal(run):
    result = run("search", "tickets.store", "fire", "-k", "3")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["score", "id", "body", "gone"]
    assert lines[1].startswith("0.900")
    assert "[bold]a [31m printer burns on" in lines[1]
    assert "\x1b" not in result.stdout
    assert len(lines) == 4


def test_a_search_that_finds_nothing_says_so(run):
    assert "nothing was found" in run("search", "tickets.store", "fire", "--where", "nothing").stdout


def test_rows_to_judge_by_and_a_beam_are_passed_on(run, asked):
    run("fit", "notes.txt", "--dev", "news.en", "--out", "m")
    assert asked("fit")[0]["dev"] == "news.en"
    assert "nowhere.txt" in run("fit", "notes.txt", "--dev", "nowhere.txt", "--out", "m").stderr
    run("evaluate", "mt", "test.tsv", "--protocol", "translation", "--beam", "2", "--train", "reviews.tsv")
    assert (asked("evaluate")[0]["beam"], asked("evaluate")[0]["train"]) == (2, "reviews.tsv")
    told = run("translate", "mt", "news.en", "--among", "news.en").stderr
    assert "--among is of --explain TEXT" in told


def test_evaluate(run, asked):
    words = ["test.jsonl", "--protocol", "retrieval", "--input", "query", "--target", "code"]
    found = answer(run("evaluate", "finder", *words, "--json"))
    assert asked("evaluate") == [
        {
            "data": "test.jsonl",
            "protocol": "retrieval",
            "input": "query",
            "target": "code",
            "label": None,
            "seed": 0,
            "samples": None,
        }
    ]
    assert found.keys() >= KEYS
    assert found["metrics"]["mrr@10"] == 0.61
    told = run("evaluate", "finder", *words).stdout
    assert told.startswith("retrieval/1")
    assert "0.580–0.640" in told


def test_inspect(run, asked):
    result = run("inspect", "tickets", "tickets.csv", "--input", "body")
    assert asked("inspect") == [{"data": "tickets.csv", "input": "body", "target": None, "label": None}]
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["Parts"],
        ["part", "parameters"],
        ["encoder", "12"],
    ]
    assert "note: the gradient of layer 1 vanishes" in result.stdout
    assert answer(run("inspect", "tickets", "--json"))["parameters"] == 12


@pytest.fixture
def demos(monkeypatch):
    """A demo that prints, and says what it was handed."""
    import sys
    from types import ModuleType

    def code(out, minutes, seed, console, listener):
        """Finds functions of the standard library by words.

        And more.
        """
        console.print("[bold]a story[/bold]")
        return {"metrics": {"mrr@10": 0.5}, "asked": [str(out), minutes, seed]}

    module = ModuleType("raw2vec.demos")
    module.DEMOS = {"code": code}
    monkeypatch.setitem(sys.modules, "raw2vec.demos", module)


@pytest.mark.usefixtures("demos")
def test_demo(run):
    told = run("demo").stdout
    assert "code   Finds functions of the standard library by words." in told
    assert "next: raw2vec demo code" in told
    result = run("demo", "code", "--minutes", "1", "--seed", "2", "--out", "d", "--json")
    found = answer(result)
    assert found["asked"] == ["d", 1.0, 2]
    assert found["out"] == "d"
    assert "a story" in result.stderr
    assert "a story" in run("demo", "code").stdout


@pytest.mark.usefixtures("demos")
def test_no_such_demo(run):
    result = run("demo", "cod")
    assert result.exit_code == 2
    assert result.stderr == "raw2vec: There is no demo 'cod', only code. Did you mean 'code'?\n"


def test_the_choices_are_those_of_the_presets():
    import sys

    from raw2vec import build, presets, system

    assert system is not facade_double
    fit = sys.modules["raw2vec.cli.fit"]
    assert set(fit.OBJECTIVES) == set(presets.OBJECTIVES)
    assert set(fit.SIZES) == set(presets.SIZES)
    assert set(fit.ENCODERS) == set(build.ENCODERS)


@pytest.fixture
def predictions(monkeypatch):
    import sys
    from types import ModuleType

    module = ModuleType("raw2vec.cli.predictions")
    module.Predictions, module.teller = facade_double.Predictions, facade_double.teller
    monkeypatch.setitem(sys.modules, "raw2vec.cli.predictions", module)


@pytest.mark.usefixtures("predictions")
def test_predict(run, asked):
    result = run("predict", "stars", "new.tsv", "--input", "text")
    assert asked("predict") == [{"data": "new.tsv", "column": "text"}]
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["row", "text", "prediction", "probability"],
        ["0", "fine", "good", "0.750"],
        ["1", "–", "–", "–"],
        ["1", "row", "is", "empty", "and", "got", "no", "prediction"],
    ]
    found = answer(run("predict", "stars", "new.tsv", "--json"))
    assert (found["items"], found["empty"], len(found["predictions"])) == (2, 1, 2)
    told = run("predict", "stars", "new.tsv", "--out", "p.csv").stdout
    assert asked("write") == ["p.csv"]
    assert told.startswith("p.csv: 2 rows")


@pytest.mark.usefixtures("predictions")
def test_predict_among_names(run, asked):
    run("predict", "clip", "new.tsv", "--labels", "a heart,a house", "--template", "an icon of {}")
    given = {"labels": ["a heart", "a house"], "templates": ["an icon of {}"]}
    assert asked("predict") == [{"data": "new.tsv", "column": None, **given}]
    refused = run("predict", "clip", "new.tsv", "--template", "an icon of {}")
    assert refused.exit_code == 2
    assert "--labels" in refused.stderr


def test_a_search_keeps_its_scores_beside_long_columns(run, monkeypatch):
    hits = [
        facade_double.Hit(row, 0.5, {"id": str(row), "text": "a long text " * 12, "body": "more of it " * 12})
        for row in (1, 2)
    ]
    monkeypatch.setattr(facade_double.Raw2Vec, "search", lambda *_, **__: [hits])
    line = run("search", "tickets.store", "fire").stdout.splitlines()[1]
    assert line.split()[:2] == ["0.500", "1"]
    assert line.count("…") == 2


@pytest.mark.parametrize("width", [80, 60, 200])
def test_on_a_narrow_terminal_a_search_shows_the_columns_that_tell_most_whole(run, monkeypatch, width):
    for module in ("search", "app"):
        monkeypatch.setattr(sys.modules[f"raw2vec.cli.{module}"], "console", lambda: Console(width=width))
    columns = {name: f"words of {name} " * 9 for name in ("query", "code", "details", "comments", "body")}
    columns |= {"line": 7, "file": "numbers.py", "name": "Numbers.double", "words": 3}
    hits = [facade_double.Hit(row, 0.5, columns) for row in (1, 2)]
    monkeypatch.setattr(facade_double.Raw2Vec, "search", lambda *_, **__: [hits])
    heading, *rows, note = run("search", "tickets.store", "fire").stdout.splitlines()
    assert heading.split()[0] == "score"
    assert {"file", "name", "body"} <= {*heading.split()}
    assert all(line.startswith("0.500") and "numbers.py" in line and "Numbers.double" in line for line in rows)
    assert max(map(len, [heading, *rows])) <= width
    if width < 200:
        hidden = note.removeprefix("not shown: ").removesuffix(" (--json has all columns)").split(", ")
        assert sorted([*hidden, *heading.split()[1:]]) == sorted(columns)


def test_a_metric_that_has_no_meaning_is_one_dash(run, monkeypatch):
    nothing = float("nan")
    told = {"metrics": {"r2": nothing}, "intervals": {"r2": (nothing, nothing)}, "baselines": {}}
    monkeypatch.setattr(facade_double, "REPORT", {**facade_double.REPORT, **told})
    shown = run("fit", "pairs.jsonl", "--out", "m").stdout.splitlines()
    assert ["r2", "–", "–"] in [line.split() for line in shown]
