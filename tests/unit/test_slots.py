from pathlib import Path

from forgetscope.wiring.slots import worker_slot


def test_workers_that_share_a_folder_get_names_of_their_own(tmp_path: Path) -> None:
    with worker_slot(tmp_path, "train") as first:
        with worker_slot(tmp_path, "train") as second, worker_slot(tmp_path, "evaluate") as other:
            assert (first, second, other) == ("train-0", "train-1", "evaluate-0")
        with worker_slot(tmp_path, "train") as again:
            assert again == "train-1"
    with worker_slot(tmp_path, "train") as free:
        assert free == "train-0"
