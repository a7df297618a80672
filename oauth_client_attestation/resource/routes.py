"""Which views are routed, and what they are wrapped in.

What only a request decides is not visible: a URLconf of its own (``request.urlconf``), a decorator that a view applies
when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver
from oauth2_provider import decorators as host

from .classes import is_our_validator


def views() -> Iterator[tuple[str, Any]]:
    """Return the route, as it is written, and the view of every pattern of the root URLconf."""
    yield from _views_below(get_resolver(None), "")


def host_decorator(view: Any) -> str | None:
    """Return the name of the host's decorator that a view, or a method of its class, is wrapped in; None for none.

    Found by what the wrappers are made of: each calls what is in its closure, however the outermost one is called.
    """
    seen: set[int] = set()
    waiting = [view]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, FunctionType):
            name = _HOST_CODE.get(item.__code__)
            if name is not None and not _has_our_validator(item):
                return name
        waiting += _contents(item)
    return None


def _views_below(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        else:
            yield from _views_below(pattern, route)


def _contents(item: Any) -> list[Any]:
    """Return what may be called by something that is called."""
    if isinstance(item, list | tuple):  # method_decorator takes several decorators
        return list(item)
    if isinstance(item, partial):
        return [item.func]
    if isinstance(item, MethodType):
        return [item.__func__]
    if isinstance(item, type):
        return [value for base in item.__mro__ for value in vars(base).values() if isinstance(value, FunctionType)]
    if not isinstance(item, FunctionType):
        return []
    # as_view() of Django and of Django REST framework
    classes = [item.__dict__.get(name) for name in ("view_class", "cls")]
    return [*_closure(item).values(), item.__dict__.get("__wrapped__"), *classes]


def _closure(function: FunctionType) -> dict[str, Any]:
    cells = function.__closure__ or ()
    return {
        name: cell.cell_contents
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True)
        if _filled(cell)
    }


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a name that nothing has been assigned to
        return False
    return True


def _has_our_validator(function: FunctionType) -> bool:
    validator = _closure(function).get("validator_cls")
    return isinstance(validator, type) and is_our_validator(validator)


def _codes_within(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_within(constant)


# The decorator itself too: method_decorator keeps it and applies it at each call.
_HOST_CODE: Final = {
    code: name
    for name in ("protected_resource", "rw_protected_resource")
    for code in _codes_within(getattr(host, name).__code__)
}
