"""Values as plain data, for files: what `to_plain` and `to_brief` make of a value is what JSON can hold, and
`from_plain` makes the value of it again, by the annotations of its class. cattrs does it; no code is run but the
constructors of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from .errors import UsageError, nearest

if TYPE_CHECKING:
    from cattrs import Converter  # it is slow to import, and many a command reads no file

Path: TypeAlias = "tuple[str | int, ...]"
Hook: TypeAlias = Callable[[Any, Any], Any]

SCALARS: Final[Mapping[type, str]] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
"""What is held as it is, and how a person is asked for it."""


NEWER: Final[Mapping[str, bool]] = {"newer": True}
"""The metadata of a field that values did not have from the start: it is written only where it is not as by default,
so that what does not use it is written as before."""


SHOWN: Final = 100
"""So many characters of what is wrong are quoted."""


class Malformed(UsageError):
    """Data that is not of its form. ``path`` leads to the place, by keys and by numbers from 0; ``problem`` says what
    is wrong there, and what to write."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{dotted(path)}: {problem}" if path else problem)


class _Unfit(Exception):
    """A value that is not of its type."""


def to_plain(value: Any) -> Any:
    """The value as lists, objects, strings, numbers and None, whole, for a program to read again. What is none of the
    project's values becomes its repr."""
    return _converter().unstructure(value)


def to_brief(value: Any) -> Any:
    """The same for people: without the fields that are as by default, but always with its name; and with the names
    of what is a tuple of named entries."""
    return _brief_converter().unstructure(value)


def from_plain(kind: Any, data: Any) -> Any:
    """The value of type ``kind``. Raises Malformed for data that is not of its form, and UsageError where a
    constructor does not take it; one that raises Malformed leaves it to this to say where."""
    from cattrs.errors import BaseValidationError

    try:
        return _converter().structure(data, kind)
    except (BaseValidationError, _Unfit) as error:
        raise _told((), kind, data, error) from None


def dotted(path: Path) -> str:
    """``scenarios[0].name``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


# -- the converter ---------------------------------------------------------------------------------


@cache
def _converter() -> Converter:
    from cattrs import Converter
    from cattrs.cols import (
        homogenous_tuple_structure_factory,
        is_mapping,
        is_namedtuple,
        namedtuple_dict_structure_factory,
    )

    made = Converter(
        forbid_extra_keys=True,
        unstruct_collection_overrides={frozenset: _in_turn, set: _in_turn, tuple: list, Mapping: _by_text},
        unstructure_fallback_factory=lambda kind: _as_it_is if _is_plain(kind) else repr,
    )
    made.register_unstructure_hook_func(
        _is_vague, lambda value: repr(value) if type(value) is object else made.unstructure(value)
    )
    made.register_unstructure_hook(bytes, repr)
    made.register_unstructure_hook_func(_is_named, lambda value: [made.unstructure(entry) for entry in value])
    made.register_unstructure_hook_factory(_is_text, lambda _: lambda value: value.to_ndjson())
    made.register_structure_hook_factory(_is_text, lambda _: lambda data, kind: kind.from_ndjson(data))
    for scalar in SCALARS:
        made.register_structure_hook(scalar, _scalar)
    made.register_structure_hook_func(_is_vague, lambda data, _: frozen(data))
    made.register_structure_hook_func(_is_choice, _choice)
    made.register_structure_hook_func(_is_one_of_several, lambda data, kind: _first_that_fits(made, data, kind))

    def tuple_hook(kind: Any) -> Hook:
        if _is_vague(get_args(kind)[0]):
            return lambda data, _: frozen(list(data))
        if get_args(kind)[-1:] == (Ellipsis,):
            return homogenous_tuple_structure_factory(kind, made)
        return made.gen_structure_hetero_tuple(kind)

    def mapping_hook(kind: Any) -> Hook:
        vague = _is_vague(get_args(kind)[1])
        return (lambda data, _: frozen(data)) if vague else made.gen_structure_mapping(kind)

    def namedtuple_hook(kind: Any) -> Hook:
        hook = namedtuple_dict_structure_factory(kind, made, True, True)
        return lambda data, kind: hook(data if isinstance(data, dict) else _by_name(kind, data), kind)

    def accept(forms: tuple[type, ...], is_one: Callable[[Any], bool], make: Callable[[Any], Hook]) -> None:
        made.register_structure_hook_factory(is_one, lambda kind: _only(forms, make(kind)))

    accept((list, tuple), lambda kind: get_origin(kind) is tuple, tuple_hook)
    accept((list, tuple, dict), is_namedtuple, namedtuple_hook)
    accept((dict,), is_mapping, mapping_hook)
    accept((dict,), _is_table, made.gen_structure_attrs_fromdict)
    made.register_unstructure_hook_factory(_has_newer, lambda kind: _without_newer(kind, made))
    return made


def _without_newer(kind: Any, made: Converter) -> Callable[[Any], Any]:
    """What writes a value of that type without the newer fields that are as by default."""
    from cattrs.gen import make_dict_unstructure_fn, override

    newer: dict[str, Any] = {each.name: override(omit_if_default=True) for each in fields(kind) if is_newer(each)}
    return make_dict_unstructure_fn(kind, made, **newer)


def is_newer(field: Any) -> bool:
    """True if a field is one of those that values did not have from the start."""
    return bool(field.metadata.get("newer"))


@cache
def _brief_converter() -> Converter:
    from cattrs.gen import make_dict_unstructure_fn, override

    made = _converter().copy(omit_if_default=True)

    def table_hook(kind: Any) -> Any:
        names = _names(kind)
        always: dict[str, Any] = {"name": override(omit_if_default=False)} if "name" in names else {}
        hook = make_dict_unstructure_fn(kind, made, _cattrs_omit_if_default=True, **always)
        return lambda value: _in_order(names, hook(value))  # what can be left out comes last otherwise

    made.register_unstructure_hook_factory(_is_table, table_hook)
    made.register_unstructure_hook_func(_is_named, lambda value: made.unstructure(value._asdict()))
    return made


def _in_order(names: Iterable[str], table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table[name] for name in names if name in table}


def _only(forms: tuple[type, ...], hook: Hook) -> Hook:
    """A hook that takes data in these forms only: a string is no list of characters."""

    def checked(data: Any, kind: Any) -> Any:
        if not isinstance(data, forms):
            raise _Unfit
        return hook(data, kind)

    return checked


def _by_name(kind: Any, entries: Any) -> dict[str, Any]:
    if len(entries) > len(kind._fields):
        raise _Unfit
    return dict(zip(kind._fields, entries, strict=False))


def _in_turn(entries: Iterable[Any]) -> list[Any]:
    return sorted(entries, key=lambda entry: (type(entry).__name__, entry))


def _by_text(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    return {str(key): value for key, value in pairs}


def _is_vague(kind: Any) -> bool:
    return kind is Any or kind is object


def _is_named(kind: Any) -> bool:
    """True if it is a class of named tuples, with types or without."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _is_table(kind: Any) -> bool:
    return is_dataclass(kind) and not _is_text(kind)


def _has_newer(kind: Any) -> bool:
    return _is_table(kind) and isinstance(kind, type) and any(map(is_newer, fields(kind)))


def _is_text(kind: Any) -> bool:
    """True if values of that class are written as lines of JSON, as histories are."""
    return hasattr(kind, "from_ndjson")


def _is_plain(kind: Any) -> bool:
    return kind in SCALARS or kind is NoneType or _is_choice(kind)


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _as_it_is(value: Any) -> Any:
    return value


def _scalar(data: Any, kind: type) -> Any:
    if type(data) is not kind and not (kind is float and type(data) is int):
        raise _Unfit
    return data


def _is_one_of_several(kind: Any) -> bool:
    """True if values are of one of several types that are no tables: a number, or a table of numbers, say."""
    inner = [one for one in get_args(kind) if one is not NoneType]
    return get_origin(kind) in (Union, UnionType) and len(inner) > 1 and not any(map(_is_table, inner))


def _first_that_fits(made: Converter, data: Any, kind: Any) -> Any:
    from cattrs.errors import BaseValidationError

    for one in get_args(kind):
        try:
            return None if data is one is None else made.structure(data, one)
        except (BaseValidationError, _Unfit):
            continue
    raise _Unfit


def _choice(data: Any, kind: Any) -> Any:
    if data not in get_args(kind):
        raise _Unfit
    return data


def frozen(data: Any) -> Any:
    """The same with tuples for lists: values hold no other."""
    if isinstance(data, dict):
        return {name: frozen(entry) for name, entry in data.items()}
    return tuple(map(frozen, data)) if isinstance(data, list) else data


# -- what is wrong ---------------------------------------------------------------------------------


def _told(path: Path, kind: Any, data: Any, error: BaseException) -> UsageError:  # noqa: PLR0911
    """The first thing that is wrong with ``data``, which stands at ``path`` and is to be of type ``kind``."""
    from cattrs.errors import (
        AttributeValidationNote,
        ClassValidationError,
        ForbiddenExtraKeysError,
        IterableValidationError,
    )

    if isinstance(error, Malformed):
        return Malformed((*path, *error.path), error.problem)
    if isinstance(error, UsageError):
        return error  # by a constructor, which says best what it takes
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        found, others = error.group_exceptions()
        if others:
            return _told(path, error.cl, data, others[0])
        inner, note = found[0]
        part: str | int = note.name if isinstance(note, AttributeValidationNote) else note.index
        return _told((*path, part), note.type, _entry(error.cl, data, part), inner)
    if isinstance(error, ForbiddenExtraKeysError):
        known, key = _names(error.cl), min(error.extra_fields)
        return Malformed(path, f"unknown key {key!r}{nearest(key, known)}; known are {', '.join(known)}")
    if isinstance(error, KeyError) and error.args == path[-1:]:
        return Malformed(path[:-1], f"{path[-1]} is missing; write {wanted(kind)}")
    place, name = _place(path)
    return Malformed(place, f"{name}{' = ' if name else ''}{_short(data)}; write {wanted(kind)}")


def wanted(kind: Any) -> str:  # noqa: PLR0911
    """What to write where a value of that type is to stand: ``a list of strings``."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if origin is Literal:
        return f"one of {', '.join(word for word in inner if word)}"
    if origin in (Union, UnionType):
        return " or ".join(wanted(one) for one in inner if one is not NoneType)
    if origin is tuple and inner[-1] is Ellipsis:
        return f"a list of {wanted(inner[0]).removeprefix('a ')}s"
    if origin is tuple:
        return f"a list of {' and '.join(map(wanted, inner))}"
    if _is_named(kind):
        return f"a list of {', '.join(_names(kind))}"
    return "a list" if origin is frozenset else "a table"


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else tuple(kind._fields)


def _entry(kind: Any, data: Any, part: str | int) -> Any:
    """What stands in ``data``, which is to be of type ``kind``, under that key or number; None where nothing does."""
    if isinstance(part, str) and isinstance(data, (list, tuple)):
        part = _names(kind).index(part)
    try:
        return data[part]
    except (LookupError, TypeError):
        return None


def _place(path: Path) -> tuple[Path, str]:
    """The table in which an entry stands, and what it is called there: ``argv[1]``."""
    last = max((number for number, part in enumerate(path) if isinstance(part, str)), default=0)
    return path[:last], dotted(path[last:])


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
