from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from forgetscope.app.examples_file import read_examples, write_examples
from forgetscope.schema.example import Example


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back_as_it_was_written(text: str) -> None:
    import tempfile

    example = Example(id="1", prompt=text, options=(" a", " b"), answer=0, target=" a", cluster="1")
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder), [example, example])
        assert read_examples(Path(folder)) == [example, example]


def test_a_line_separator_inside_a_text_does_not_end_a_line(tmp_path: Path) -> None:
    example = Example(
        id="1", prompt="a\u2028b\x85c", options=(" a", " b"), answer=0, target=" a", cluster="1"
    )
    write_examples(tmp_path, [example])
    assert read_examples(tmp_path) == [example]
