"""A small Llama with a byte-level tokenizer, three adapters for it, and a window for stages."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from forgetscope.evaluator.engines.base import Adapter, ChoiceItem
from forgetscope.modeling.saving import save_adapter
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.example import Example
from forgetscope.schema.stage import BlobRef, Manifest

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WORDS = ("Ġyes", "Ġno", "Ġmaybe", "ĠA", "ĠB", "ĠC", "Ġblack", "Ġcat", "Ġdog", "Question", "Answer")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", name="make_model")
def make_model_fixture() -> Callable[..., Path]:
    return make_model


def make_model(folder: Path, seed: int = 0, **changes: object) -> Path:
    tokenizer = make_tokenizer()
    settings: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        # Wide enough that scores lie far apart: an argmax must not hang on the last digit.
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }
    torch.manual_seed(seed)
    LlamaForCausalLM(LlamaConfig(**settings)).save_pretrained(folder)  # type: ignore[arg-type]
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer() -> PreTrainedTokenizerFast:
    pieces = ["<|end|>", "<|begin|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    bpe = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|end|>"
    )


def make_adapter(base: Path, folder: Path, seed: int, rank: int = 4) -> Adapter:
    model = LlamaForCausalLM.from_pretrained(base)
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=MODULES, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    folder.mkdir()
    save_adapter(adapted, folder)
    return Adapter(hashlib.sha256(folder.name.encode()).hexdigest(), folder)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="session")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    root = tmp_path_factory.mktemp("adapters")
    return [make_adapter(base, root / f"adapter-{i}", seed=10 + i) for i in range(3)]


@pytest.fixture(scope="session")
def other_adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """An adapter for a model of another width."""
    root = tmp_path_factory.mktemp("other")
    narrow = make_model(root / "narrow", hidden_size=32, num_attention_heads=1)
    return make_adapter(narrow, root / "adapter-narrow", seed=9)


@pytest.fixture(scope="session")
def merged(base: Path, adapters: list[Adapter], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first adapter in the weights, written by peft itself."""
    from peft import PeftModel

    folder = tmp_path_factory.mktemp("merged")
    plain = LlamaForCausalLM.from_pretrained(base)
    adapted = PeftModel.from_pretrained(plain, str(adapters[0].folder))
    adapted.merge_and_unload().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def items() -> list[ChoiceItem]:
    """Prompts of many lengths; options of one token, of several, and of both kinds."""
    generator = torch.Generator().manual_seed(3)

    def tokens(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(2, 258, (length,), generator=generator).tolist())

    letters = ((260,), (261,), (262,), (263,))
    found = [ChoiceItem(tokens(1 + 5 * i % 61), letters[: 2 + i % 3]) for i in range(24)]
    found += [ChoiceItem(tokens(3 + 7 * i % 40), (tokens(3), tokens(2))) for i in range(12)]
    found += [ChoiceItem(tokens(9 + i), (tokens(1), (7, 8, 9), (7, 8, 10))) for i in range(12)]
    return found


@pytest.fixture(scope="session")
def naive_scores() -> Callable[[Path, Sequence[ChoiceItem]], list[list[float]]]:
    """Full softmax over every position of prompt and option, one option at a time."""

    @torch.inference_mode()
    def scores(folder: Path, items: Sequence[ChoiceItem]) -> list[list[float]]:
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        found = []
        for item in items:
            found.append([])
            for option in item.options:
                ids = torch.tensor([item.prompt + option])
                logp = model(ids).logits[0].double().log_softmax(-1)
                start = len(item.prompt)
                found[-1].append(
                    sum(logp[start + k - 1, token].item() for k, token in enumerate(option))
                )
        return found

    return scores


@pytest.fixture(scope="session")
def naive_greedy() -> Callable[[Path, Sequence[tuple[int, ...]], int], list[tuple[int, ...]]]:
    @torch.inference_mode()
    def write(
        folder: Path, prompts: Sequence[tuple[int, ...]], length: int
    ) -> list[tuple[int, ...]]:
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        written = []
        for prompt in prompts:
            ids = list(prompt)
            for _ in range(length):
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            written.append(tuple(ids[len(prompt) :]))
        return written

    return write


class FolderIO:
    """A stage's window onto plain folders."""

    def __init__(self, root: Path, inputs: dict[str, Path], machine: Machine) -> None:
        self.machine = machine
        self.output = root / "output"
        self.scratch = root / "scratch"
        self.output.mkdir(parents=True)
        self.scratch.mkdir()
        self.reports: list[tuple[float, float, str]] = []
        self._inputs = inputs

    def input(self, role: str) -> Path:
        return self._inputs[role]

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        self.reports.append((done, total, unit))

    def save_resume(self, folder: Path) -> None:
        raise AssertionError("an evaluation starts again from its beginning")

    def resume(self) -> Path | None:
        return None


Prepared = tuple[Work, FolderIO]


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Prepared]:
    """Make a stage from folders and examples."""
    count = iter(range(1000))

    def manifest(folder: Path, kind: str) -> Manifest:
        files = {
            path.name: BlobRef(
                digest=hashlib.sha256(path.read_bytes()).hexdigest(), size=path.stat().st_size
            )
            for path in folder.iterdir()
        }
        return Manifest.model_validate({"stage": "0" * 64, "kind": kind, "files": files})

    def make(
        examples: Sequence[Example],
        base: Path,
        checkpoint: Path | None = None,
        *,
        machine: Machine = Machine(),  # noqa: B008
        **params: object,
    ) -> Prepared:
        root = tmp_path / f"stage-{next(count)}"
        data = root / "data"
        data.mkdir(parents=True)
        lines = "".join(e.model_dump_json() + "\n" for e in examples)
        (data / "examples.jsonl").write_text(lines, encoding="utf-8")
        folders = {"base": base, "data": data}
        manifests = {
            "base": manifest(base, "prepare_model"),
            "data": manifest(data, "prepare_data"),
        }
        if checkpoint is not None:
            folders["checkpoint"] = checkpoint
            manifests["checkpoint"] = manifest(checkpoint, "train")
        settings = {
            "engine": "transformers",
            "dtype": "float32",
            "attention": "sdpa",
            "max_length": 128,
            **params,
        }
        work = Work("1" * 64, "evaluate", settings, manifests, 5)  # type: ignore[arg-type]
        return work, FolderIO(root, folders, machine)

    return make


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """Choices of one and of several tokens, and generated answers, in turn."""
    found = []
    for i in range(12):
        choice = i % 3 != 2
        options = ((" yes", " no"), (" black cat", " dog", " black dog"))[i % 2] if choice else ()
        found.append(
            Example(
                id=f"e{i}",
                form="choice" if choice else "generate",
                prompt=f"Question: {'what ' * (i % 5)}number {i}?\nAnswer:",
                options=options,
                answer=i % len(options) if choice else None,
                target=options[i % len(options)] if choice else " dog",
                groups=("a", "b") if i % 4 == 0 else (),
                cluster=f"c{i // 2}",
            )
        )
    return found
