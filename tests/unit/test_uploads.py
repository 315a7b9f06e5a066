import pytest

from forgetscope.core.uploads import uploads_in

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, set()),
        ({"task": "arc", "n": 3}, set()),
        ({"kind": "upload", "digest": A, "size": 1}, {A}),
        ({"params": {"sources": [{"kind": "upload", "digest": A}, {"kind": "file"}]}}, {A}),
        ([{"train": {"kind": "upload", "digest": A}}, {"kind": "upload", "digest": B}], {A, B}),
        ({"kind": "hub", "digest": A}, set()),
    ],
)
def test_the_uploads_of_a_definition_are_found_wherever_they_stand(
    value: object, found: set[str]
) -> None:
    assert uploads_in(value) == found  # type: ignore[arg-type]
