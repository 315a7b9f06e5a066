"""Prompts of custom tasks: a small part of Jinja's language, rendered in its sandbox.

Templates come from users of the API, so three walls stand one behind the other. The parsed tree
is walked, and whatever is not on a short list is refused (no calls, arithmetic, assignments,
macros, imports). Names lead into the data of the row only: no attribute of any Python object can
be reached. Rendering is bounded in steps and in characters.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

from forgetscope.schema.errors import InvalidSpec
from forgetscope.tasks.template_filters import (
    FILTERS,
    MissingColumn,
    TemplateFault,
    limited,
    written,
)

__all__ = ["MissingColumn", "Template", "TemplateFault"]

MAX_CHARACTERS = 100_000
MAX_STEPS = 10_000
MAX_DEPTH = 30
MAX_LOOPS = 2
MAX_BLOCKS = 8

_LOOP_FACTS = frozenset({"first", "last", "index", "index0", "length"})
_COMPARISONS = frozenset({"eq", "ne", "in", "notin"})
_PLAIN = (
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.CondExpr,
    nodes.Output,
    nodes.TemplateData,
)
# A blank in it: no template can name it.
_STEPS = "steps left"


class Template:
    """A checked template. Its text may use the columns of a row by name, and `row` for the row
    itself (`row["a column with blanks"]`).

    Raises InvalidSpec when the text is not in the language; `where` points to it.
    """

    def __init__(self, text: str, *, where: str | None = None) -> None:
        try:
            tree = _ENVIRONMENT.parse(text)
            for part in tree.body:
                _check(part, depth=0, loops=0, blocks=0)
            self._template = _ENVIRONMENT.from_string(_guarded(tree))
        except TemplateSyntaxError as error:
            raise _refused(
                f"line {error.lineno}: {(error.message or '').rstrip('.')}", where
            ) from None
        except TemplateFault as error:
            raise _refused(str(error), where) from None
        except RecursionError:
            raise _refused("it is nested too deeply", where) from None

    def render(self, data: Mapping[str, JsonValue]) -> str:
        """The text for a row. Raises TemplateFault, which names the column and never its text."""
        pieces: list[str] = []
        room = MAX_CHARACTERS
        try:
            for piece in self._template.generate({"row": data, **data, _STEPS: [MAX_STEPS]}):
                room -= len(piece)
                if room < 0:
                    raise TemplateFault(f"it gives more than {MAX_CHARACTERS} characters")
                pieces.append(piece)
        except UndefinedError as error:
            raise MissingColumn((error.message or "'?'").split("'")[1]) from None
        except (TypeError, RecursionError):
            raise TemplateFault("a value of the row is of a kind that it cannot use") from None
        return "".join(pieces)


class _Environment(ImmutableSandboxedEnvironment):
    """Names and indices lead into dicts, lists and the facts of a loop, nowhere else."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP_FACTS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, dict) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list) and isinstance(argument, int) and -1 <= argument < len(obj):
            return obj[argument]
        return self.undefined(name=str(argument))


@pass_context
def _each(context: Context, value: object) -> Iterator[object]:
    """The items of a list, as long as there are steps left."""
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    if not isinstance(value, list):
        raise TemplateFault("a loop needs a column that holds a list")
    steps = context.parent[_STEPS]
    for item in value:
        steps[0] -= 1
        if steps[0] < 0:
            raise TemplateFault(f"its loops take more than {MAX_STEPS} steps")
        yield item


def _environment() -> _Environment:
    # Prompts are plain text: nothing is to be escaped in them.
    environment = _Environment(
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.clear()
    environment.filters = {name: limited(f, MAX_CHARACTERS) for name, (f, _) in FILTERS.items()}
    environment.filters |= {" written": written, " each": _each}
    environment.tests = {
        "defined": environment.tests["defined"],
        "none": environment.tests["none"],
    }
    return environment


_ENVIRONMENT = _environment()


def _check(node: nodes.Node, *, depth: int, loops: int, blocks: int) -> None:
    """Raises TemplateFault for whatever is not on the list."""
    if depth > MAX_DEPTH or blocks > MAX_BLOCKS:
        raise TemplateFault("it is nested too deeply")
    match node:
        case nodes.Name() | nodes.Getattr() | nodes.Getitem() | nodes.Const():
            _check_value(node)
        case nodes.Operand(op=operator):
            if operator not in _COMPARISONS:
                raise TemplateFault("values are compared by ==, !=, in and not in only")
        case nodes.Filter() | nodes.Test():
            _check_call(node)
        case nodes.If():
            blocks += 1
        case nodes.For():
            loops, blocks = loops + 1, blocks + 1
            _check_loop(node, loops)
        case _ if not isinstance(node, _PLAIN):
            raise _outside(node)
    for child in node.iter_child_nodes():
        _check(child, depth=depth + 1, loops=loops, blocks=blocks)


def _check_value(node: nodes.Node) -> None:
    match node:
        case nodes.Name(name=name) | nodes.Getattr(attr=name):
            if name.startswith("_"):
                raise TemplateFault("a name that begins with _ can only be had as row[...]")
        case nodes.Getitem(arg=argument):
            if not (isinstance(argument, nodes.Const) and isinstance(argument.value, (str, int))):
                raise TemplateFault("an index is a number or a name in quotes")
        case nodes.Const(value=value):
            if value is not None and not isinstance(value, (str, int, float)):
                raise _outside(node)


def _check_call(node: nodes.Filter | nodes.Test) -> None:
    known = {name: count for name, (_, count) in FILTERS.items()}
    if isinstance(node, nodes.Test):
        known = {"defined": (0,), "none": (0,)}
    if node.name not in known:
        raise TemplateFault(f"there is no {node.name!r} here, only {', '.join(known)}")
    constant = all(
        isinstance(argument, nodes.Const) and isinstance(argument.value, str)
        for argument in node.args
    )
    if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs or not constant:
        raise TemplateFault(f"{node.name} takes text in quotes only")
    if len(node.args) not in known[node.name]:
        raise TemplateFault(f"{node.name} was given {len(node.args)} arguments")


def _check_loop(node: nodes.For, loops: int) -> None:
    if loops > MAX_LOOPS:
        raise TemplateFault(f"more than {MAX_LOOPS} loops stand in each other")
    if node.recursive or node.test is not None or not isinstance(node.target, nodes.Name):
        raise TemplateFault("a loop is written {% for name in column %}")
    if node.target.name in ("loop", "row"):
        raise TemplateFault(f"a loop's variable cannot be called {node.target.name}")
    source = node.iter
    while isinstance(source, (nodes.Getattr, nodes.Getitem)):
        source = source.node
    if not isinstance(source, nodes.Name):
        raise TemplateFault("a loop goes over a column")


def _guarded(tree: nodes.Template) -> nodes.Template:
    """The tree with its outputs and loops led through the guards."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, " each", [], [], None, None)
    for output in tree.find_all(nodes.Output):
        output.nodes = [
            part
            if isinstance(part, nodes.TemplateData)
            else nodes.Filter(part, " written", [nodes.Const(_path(part))], [], None, None)
            for part in output.nodes
        ]
    tree.set_environment(_ENVIRONMENT)
    return tree


def _path(node: nodes.Node) -> str:
    """What an expression is about, for messages: `question.stem`."""
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=inner, attr=attribute):
            return f"{_path(inner)}.{attribute}"
        case nodes.Getitem(node=inner, arg=nodes.Const(value=value)):
            return f"{_path(inner)}.{value}"
        case nodes.Filter(node=nodes.Expr() as inner):
            return _path(inner)
    return "an expression"


def _outside(node: nodes.Node) -> TemplateFault:
    return TemplateFault(f"{type(node).__name__} is not part of the language of prompts")


def _refused(detail: str, where: str | None) -> InvalidSpec:
    return InvalidSpec(
        f"this template cannot be used: {detail}.",
        where=where,
        hint="It may hold columns in {{ }}, if, for over a column, and the filters "
        f"{', '.join(FILTERS)}.",
    )
