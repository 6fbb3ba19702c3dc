"""Rendering what files say, with every failure told as an error of the file, at its line, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jinja2
from jinja2.exceptions import UndefinedError

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.base.text import one_line
from shipyard.files.jinja import bounds
from shipyard.files.jinja.environment import evaluate
from shipyard.files.jinja.lazy import OMIT, LoopError, NoValueError, final
from shipyard.files.jinja.namespace import Namespace
from shipyard.files.jinja.undefined import NotDefinedError, nearest
from shipyard.files.values import holds_template, is_template
from shipyard.files.yamldoc import Path


class Where(Protocol):
    """What knows the place of a value; yamldoc's Marks is one."""

    def error(self, path: Path, message: str, *, hint: str | None = None) -> FileError:
        """An error about the value at this path."""
        ...


class Place(Struct, frozen=True):
    """A place without marks: a file (or whatever a variable came from), and a line where one is known."""

    file: str
    line: int | None = None
    key: str | None = None

    def error(self, path: Path, message: str, *, hint: str | None = None) -> FileError:
        """An error about this place."""
        from shipyard.files.yamldoc import dotted

        key = ".".join(filter(None, (self.key, dotted(path)))) or None
        return FileError(message, file=self.file, line=self.line, key=key, hint=hint)


def render(value: Any, variables: Mapping[str, Any], *, where: Where, path: Path = ()) -> Any:
    """The value with every template inside rendered: keys of mappings and `!unsafe` texts are left as they are.

    `path`: of the value in its document, for messages. Items that come to `omit` are left out. Raises FileError.
    """
    namespace = variables if isinstance(variables, Namespace) else Namespace(variables)
    made = _walk(value, namespace, where, path)
    if made is OMIT:
        raise where.error(path, "comes to `omit`, but it can't be left out here")
    return made


def _walk(value: Any, namespace: Namespace, where: Where, path: Path) -> Any:
    if isinstance(value, Mapping) and holds_template(value):
        items = ((key, _walk(item, namespace, where, (*path, key))) for key, item in value.items())
        return {key: item for key, item in items if item is not OMIT}
    if isinstance(value, list | tuple) and holds_template(value):
        made = (_walk(item, namespace, where, (*path, index)) for index, item in enumerate(value))
        return [item for item in made if item is not OMIT]
    return _one(value, namespace, where, path)


def _one(value: Any, namespace: Namespace, where: Where, path: Path) -> Any:
    try:
        with bounds.budget():
            return final(evaluate(value, namespace) if is_template(value) else value)
    except FileError:
        raise
    except UndefinedError as error:
        raise where.error(path, one_line(str(error)), hint=_near(error, namespace)) from None
    except jinja2.TemplateSyntaxError as error:
        raise where.error(path, f"{_shown(value)} is no template: {one_line(error.message or '')}") from None
    except (LoopError, NoValueError) as error:
        raise where.error(path, one_line(str(error))) from None
    except bounds.TooMuchError as error:
        raise where.error(path, f"the template {error}, which no file needs") from None
    except RecursionError:
        raise where.error(path, "the template is nested too deep") from None
    except Exception as error:  # whatever a foreign template does is an error of that file
        said = one_line(str(error)) or type(error).__name__
        raise where.error(path, f"{_shown(value)} can't be rendered: {said}") from None


def _near(error: UndefinedError, namespace: Namespace) -> str | None:
    near = getattr(error, "near", None)
    if near is None and isinstance(error, NotDefinedError) and error.name is not None:
        near = nearest(error.name, namespace)
    return None if near is None else f"did you mean {near!r}?"


def _shown(value: Any) -> str:
    return repr(one_line(str(value), 80))
