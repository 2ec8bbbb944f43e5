"""The scorers: all found, each with its own idea of a good answer, none with a library before it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.recipes import evals
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import DataError, EvaluationError, RecipeError
from tunesmith.recipes.spec import complete, parse, to_yaml

FOLDER = Path("/recipes")


def row(expected: str, question: str = "What is it?") -> HeldOutRow:
    return HeldOutRow([{"role": "user", "content": question}], expected, ("Ada",))


def scored(score: str, answer: str, expected: str = "x") -> float:
    card, argument = evals.find(score)
    return card.open(argument).score(answer, row(expected))


def refusal(*scores: str, **evaluation: object) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse(json.dumps({"evaluation": {"scores": scores, **evaluation}}), FOLDER)
    return caught.value


def test_eight_cards_are_found() -> None:
    assert set(evals.cards()) == {
        "bleu", "chrf", "contains", "exact_match", "json", "python", "regex", "rouge_l",
    }  # fmt: skip


@pytest.mark.parametrize("key", [key for key in evals.cards() if key not in ("python", "regex", "json")])
def test_the_expected_answer_has_the_best_score_and_another_less(key: str) -> None:
    card = evals.cards()[key]
    assert scored(key, "The cat sat on the mat.", "The cat sat on the mat.") == pytest.approx(card.top)
    assert 0 <= scored(key, "Dogs bark", "The cat sat on the mat.") < card.top / 4
    assert scored(key, "", "The cat sat on the mat.") == 0


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [
        ("  yes ", "Yes.", True),
        ("“Yes”.", "yes", True),
        ("'Yes.'", "Yes!", True),
        ("ＹＥＳ！", "yes", True),
        ("New\n York", "new york", True),
        ("STRASSE", "Straße", True),
        ("不是。", "不是", True),
        ("-3.5", "35", False),
        ("3,5", "3.5", False),
        ("the yes", "yes", False),
        ("", "yes", False),
    ],
)
def test_an_exact_match_is_one_after_normalising(answer: str, expected: str, same: bool) -> None:
    assert scored("exact_match", answer, expected) == same


def test_the_expected_answer_may_stand_among_others() -> None:
    assert scored("contains", "I think it is NEW  YORK, of course.", "New York.") == 1
    assert scored("contains", "I think it is York.", "New York.") == 0


def test_figures_are_those_that_the_papers_give() -> None:
    # Lin 2004, section 3: "police kill the gunman" against "police killed the gunman" has an LCS of 3 of 4 words.
    assert scored("rouge_l", "police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    from sacrebleu.metrics import BLEU, CHRF

    answers, expected = ["the cat sat on a mat", "猫 sat", "no"], ["the cat sat on the mat", "the cat sat", "no dog"]
    scorer = evals.cards()["bleu"].open("")
    assert scorer.whole is not None
    counts = [scorer.whole.counts(a, row(e)) for a, e in zip(answers, expected, strict=True)]
    sums = [float(sum(column)) for column in zip(*counts, strict=True)]
    assert scorer.whole.value(sums) == pytest.approx(BLEU().corpus_score(answers, [expected]).score)
    mean = sum(CHRF().sentence_score(a, [e]).score for a, e in zip(answers, expected, strict=True)) / 3
    assert sum(scored("chrf", a, e) for a, e in zip(answers, expected, strict=True)) / 3 == pytest.approx(mean)


@pytest.mark.parametrize("key", ["rouge_l", "bleu", "chrf"])
def test_chinese_is_scored_by_its_characters(key: str) -> None:
    top = evals.cards()[key].top
    assert scored(key, "今天天气很好，我们去公园散步。", "今天天气很好，我们去公园散步。") == pytest.approx(top)
    near, far = (
        scored(key, "今天天气很好，我们去散步。", "今天天气很好，我们去公园散步。"),
        scored(key, "我不知道", "今天天气很好"),
    )
    assert far < 0.3 * top < near < top


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        ('{"a": [1, null]}', True),
        (" 3 ", True),
        ('```json\n{"a": 1}\n```', True),
        ('Here it is: {"a": 1}', False),
        ('{"a": 1', False),
        ('{"a": NaN}', False),
        ('{"a": 1, "a": 2}', False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
def test_json_is_strict_but_for_a_fence(answer: str, valid: bool) -> None:
    assert scored("json", answer) == valid


def test_json_can_be_held_to_a_schema(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}')
    score = f"json:{tmp_path / 's.json'}"
    assert [scored(score, text) for text in ('{"a": 1}', '{"a": "1"}', "{}", "nonsense")] == [1, 0, 0, 0]


@pytest.mark.parametrize("text", [
    '{"type": "nonsense"}', "{", "[1]", '{"$ref": "http://127.0.0.1:9/s.json"}', '{"$ref": "file:///etc/hostname"}',
])  # fmt: skip
def test_what_is_no_schema_or_would_be_fetched_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match="is no JSON schema"):
        evals.cards()["json"].open(str(tmp_path / "s.json"))


def test_a_schema_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        evals.cards()["json"].open(str(tmp_path / "none.json"))


def test_a_pattern_is_found_anywhere_unless_it_says_more() -> None:
    assert scored(r"regex:\d+ km", "about 12 km away") == 1
    assert scored(r"regex:^\d+$", "12 km") == 0
    assert scored("regex:(?i)yes|a:b", "so: A:B") == 1, "a colon in it is the pattern's"


def test_a_pattern_that_takes_for_ever_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.recipes.evals.regex.TIMEOUT_S", 0.05)
    with pytest.raises(EvaluationError, match="took more than") as caught:
        scored("regex:^(a|a)*b$|^(a+)+c$", "a" * 60 + "d")
    assert caught.value.code == "scorer_failed" and "simpler" in caught.value.hint


OWN = """
def polite(answer, row):
    assert row["answer"] == "x" and row["question"] == "What is it?" and row["accept"] == ["Ada"]
    return "please" in answer

def far(answer, row):
    return 1 / len(answer)

def wrong(answer, row):
    return {"": 1.5, "n": float("nan"), "t": "1", "e": __import__("sys").exit}[answer]

def leaves(answer, row):
    raise SystemExit(3)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def test_a_persons_own_function_scores(own: Path) -> None:
    assert scored(f"{own}:polite", "yes please") == 1 and scored(f"{own}:polite", "yes") == 0
    assert scored(f"{own}:far", "four") == 0.25
    assert evals.own_code(["chrf", f"{own}:polite", f"{own}:far"]) == [str(own)]


@pytest.mark.parametrize(
    ("function", "answer", "said"),
    [
        ("far", "", "mine.py:7: ZeroDivisionError"),
        ("leaves", "", "mine.py:13: SystemExit: 3"),
        ("wrong", "", "returned 1.5"),
        ("wrong", "n", "returned nan"),
        ("wrong", "t", "returned '1'"),
        ("wrong", "e", "returned <built-in"),
        ("absent", "", "has no function 'absent'"),
    ],
)
def test_what_goes_wrong_in_it_is_told_with_its_place(own: Path, function: str, answer: str, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        scored(f"{own}:{function}", answer)
    assert said in caught.value.message and caught.value.code == "scorer_failed" and caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"), [("def f(:", "mine.py:1: SyntaxError"), ("import nowhere_at_all", "mine.py:1: ModuleNotFound")]
)
def test_a_file_that_does_not_run_says_where(own: Path, text: str, said: str) -> None:
    own.write_text(text)
    with pytest.raises(EvaluationError) as caught:
        scored(f"{own}:f", "")
    assert said in caught.value.message


def test_paths_in_scores_are_the_recipe_files_own(tmp_path: Path) -> None:
    spec = parse('{evaluation: {scores: ["s/mine.py:polite", "json:s/a.json", chrf]}}', FOLDER)
    assert spec.evaluation.scores == ("/recipes/s/mine.py:polite", "json:/recipes/s/a.json", "chrf")
    assert [evals.name_of(score) for score in spec.evaluation.scores] == ["polite", "json", "chrf"]
    assert parse(to_yaml(spec), FOLDER) == spec == complete(spec)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (("chr",), "has no 'chr'"),
        (("mine.py",), "does not say which function"),
        (("mine.py:a b",), "has '/recipes/mine.py:a b'"),
        (("chrf", "chrf"), "called 'chrf'"),
        (("mine.py:loss",), "called 'loss'"),
        (("mine.py:bleu",), "called 'bleu'"),
        (("chrf:3",), "takes nothing after its name"),
        (("regex",), "without a pattern"),
        (("regex:(",), "is no regular expression"),
        (("json:schema.yaml",), "has 'json:/recipes/schema.yaml'"),
        (("chrf",) * 21, "out of range"),
    ],
)
def test_a_score_that_cannot_be_is_refused_with_the_recipe(scores: tuple[str, ...], said: str) -> None:
    assert said in refusal(*scores).message


def test_scores_are_of_answers() -> None:
    assert "evaluation.answers is 0" in refusal("chrf", answers=0).message
    assert refusal("chr").hint == "Did you mean 'chrf'?"


def test_no_library_is_loaded_by_reading_a_recipe() -> None:
    code = (
        "import sys; from pathlib import Path; from tunesmith.recipes import spec\n"
        'text = \'{evaluation: {scores: [bleu, chrf, rouge_l, json, "regex:a", "a.py:b"], fail_if: "bleu < 1"}}\'\n'
        "spec.parse(text, Path('/')); spec.json_schema()\n"
        "print({'sacrebleu', 'rouge_score', 'nltk', 'regex', 'jsonschema_rs', 'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
