"""Jinja as Ansible has it, in a sandbox: native types, nothing that can be changed, no files, no lookups.

A text that is one expression keeps the expression's type; every other text is a text. `None` inside a longer text
is nothing. What is undefined stays so through attributes, until it is used: then it is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, wraps
from typing import Any, cast

import jinja2
from jinja2 import nodes
from jinja2.lexer import TOKEN_STRING, TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END, Lexer
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from shipyard.files.jinja import bounds
from shipyard.files.jinja.checks import TESTS
from shipyard.files.jinja.filters import FILTERS, NOT_OFFERED
from shipyard.files.jinja.lazy import OMIT, View, listed, plain
from shipyard.files.jinja.undefined import Missing

Functions = dict[str, Callable[..., Any]]
MAX_TEMPLATE = 256 * 1024
_TAKES_UNDEFINED = frozenset({"default", "d", "mandatory", "ternary", "defined", "undefined"})
_TAKES_VIEWS = _TAKES_UNDEFINED | {
    *("extract", "first", "last", "length", "count", "list", "items"),
    *("map", "select", "reject", "selectattr", "rejectattr"),
}
"""Filters that hand values on, or look at some only: what they leave alone need not be rendered."""


class _Generator(NativeCodeGenerator):
    """Single constants keep their type; `~` is measured."""

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        parts = list(group)
        if len(parts) == 1:
            return repr(parts[0])
        return repr("".join("" if part is None else str(part) for part in parts))

    def visit_Concat(self, node: nodes.Concat, frame: Any) -> None:  # noqa: N802  # the name Jinja calls
        self.write("environment.concatenate((")
        for argument in node.nodes:
            self.visit(argument, frame)
            self.write(", ")
        self.write("))")

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Any) -> None:  # noqa: N802  # the name Jinja calls
        if isinstance(node.node, nodes.EnvironmentAttribute) and node.node.name == "tick":
            self.writeline("environment.tick()", node)
        else:
            super().visit_ExprStmt(node, frame)


class _Lexer(Lexer):
    """Backslashes in the texts of `{{ }}` stand for themselves: YAML has read them once already (`'\\1'`)."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        within = False
        for line, kind, text in super().tokeniter(source, name, filename, state):
            if kind in (TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END):
                within = kind == TOKEN_VARIABLE_BEGIN
            doubled = within and kind == TOKEN_STRING
            yield line, kind, text.replace("\\", "\\\\") if doubled else text


class LazyContext(Context):
    """Looks names up in a namespace that renders them then, after what the template itself set."""

    namespace: Any = None

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        found = missing if self.namespace is None else self.namespace.find(key)
        return self.parent.get(key, missing) if found is missing else found

    def derived(self, locals: dict[str, Any] | None = None) -> LazyContext:  # Jinja's own name for it
        context = super().derived(locals)
        assert isinstance(context, LazyContext)
        context.namespace = self.namespace
        return context


class Environment(ImmutableSandboxedEnvironment):
    """The only one; see the module."""

    code_generator_class = _Generator
    context_class = LazyContext
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=Missing, trim_blocks=True, autoescape=False, cache_size=0)
        self._lexer = _Lexer(self)
        for name in NOT_OFFERED:
            self.filters.pop(name, None)
        filters: Functions = {**cast("Functions", self.filters), **FILTERS}
        tests: Functions = {**cast("Functions", self.tests), **TESTS}
        self.filters = {name: _guarded(name, made) for name, made in filters.items()}
        self.tests = {name: _guarded(name, made) for name, made in tests.items()}
        self.globals = {name: self.globals[name] for name in ("range", "dict", "namespace")}
        self.globals.update(omit=OMIT, **dict.fromkeys(("lookup", "query", "q"), _no_lookup), now=_no_clock)

    @property
    def lexer(self) -> Lexer:
        return self._lexer

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Every turn of a loop, and every call of a macro, is a step of the budget."""
        tree = super()._parse(source, name, filename)
        repeated: list[nodes.For | nodes.Macro | nodes.CallBlock] = []
        for kind in (nodes.For, nodes.Macro, nodes.CallBlock):
            repeated += tree.find_all(kind)
        for node in repeated:
            node.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("tick"), lineno=node.lineno))
        return tree

    def tick(self) -> None:
        """One step."""
        bounds.spend()

    def concatenate(self, parts: Iterable[Any]) -> str:
        """What `~` does."""
        return bounds.joined([str(plain(part)) for part in parts])

    @staticmethod
    def concat(parts: Iterable[Any]) -> Any:
        """One part keeps its type; several become a text."""
        found = [part for part in parts if part is not None]
        if len(found) < 2:
            return found[0] if found else None
        return bounds.joined([str(plain(part)) for part in found])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute if it may be used, or else an item of that name (`d.update` is a key where there is one)."""
        value = getattr(obj, attribute, missing)
        if value is not missing and self.is_safe_attribute(obj, attribute, value):
            return self.wrapped(value)
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            if value is not missing:
                return self.unsafe_undefined(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def wrapped(self, value: Any) -> Any:
        """`str.format` in the sandbox's own form, which looks at what it formats."""
        wrapped = self.wrap_str_format(value)
        return value if wrapped is None else wrapped

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        left, right = plain(left), plain(right)
        bounds.operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        bounds.spend(bounds.CALL)
        args = tuple(arg if isinstance(arg, View) else plain(arg) for arg in args)
        bounds.method(obj, (*args, *kwargs.values()))
        return listed(super().call(context, obj, *args, **{key: plain(arg) for key, arg in kwargs.items()}))


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that is given real values, nothing undefined unless it asks for it, and returns no iterators."""
    passed = (Context, View) if name in _TAKES_VIEWS else Context

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if name not in _TAKES_UNDEFINED:
            for arg in args:
                if isinstance(arg, Missing):
                    str(arg)
        real = (arg if isinstance(arg, passed) else plain(arg) for arg in args)
        return listed(function(*real, **{key: plain(arg) for key, arg in kwargs.items()}))

    return guarded


def _no_lookup(*_args: Any, **_kwargs: Any) -> Any:
    raise jinja2.TemplateRuntimeError("lookups read files and run programs, and are not offered here")


def _no_clock(*_args: Any, **_kwargs: Any) -> Any:
    raise jinja2.TemplateRuntimeError("the time would make every rendering differ, and is not offered here")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment."""
    return Environment()


@lru_cache(maxsize=4096)
def compiled(text: str) -> jinja2.Template:
    """A template, compiled once. Raises jinja2.TemplateSyntaxError."""
    if len(text) > MAX_TEMPLATE:
        raise bounds.TooMuchError(f"is a template of more than {MAX_TEMPLATE // 1024} KiB")
    return environment().from_string(text)


def evaluate(text: str, namespace: Any) -> Any:
    """What a template comes to in a namespace, natively; views and undefined values included."""
    template = compiled(text)
    context = template.new_context()
    assert isinstance(context, LazyContext)
    context.namespace = namespace
    made = Environment.concat(template.root_render_func(context))
    if isinstance(made, str):
        lost = _newlines_at_end(text) - _newlines_at_end(made)
        return made + "\n" * lost if lost > 0 else made
    return made


def _newlines_at_end(text: str) -> int:
    return len(text) - len(text.rstrip("\n"))
