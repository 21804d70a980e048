"""A part's settings, checked against its constructor: the signature is the only place that lists them."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from raw2vec.errors import BadInput, nearest, plainly


def checked(
    constructor: Callable[..., Any], settings: Mapping[str, Any], where: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """All settings of the part, defaults filled in, types put right; BadInput names the one that is wrong.

    `given` are the arguments that come from elsewhere (a width from the part before): never settings. Those the
    constructor does not ask for are left out; those it does are not part of the answer.
    """
    hints = get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(constructor).parameters.items():
        # A class without a constructor of its own has torch's, which takes anything: it has no settings.
        if name not in given and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints.get(name, Any), default)
    for name in settings:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise BadInput(f"{where} has no setting '{name}'.{nearest(name, fields)} It knows: {known}.")
    model = create_model("Settings", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)
    try:
        return {name: getattr(model(**settings), name) for name in fields}
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        message = plainly(first["msg"][0].lower() + first["msg"][1:])
        raise BadInput(f"{where}: setting '{name}' is {settings.get(name)!r}, but {message}.") from None


def construct(constructor: Callable[..., Any], settings: Mapping[str, Any], where: str, **given: Any) -> Any:
    """The part itself, made from its settings and from what it needs of `given`."""
    wanted = inspect.signature(constructor).parameters
    needed = {name: value for name, value in given.items() if name in wanted}
    return constructor(**needed, **checked(constructor, settings, where, given))


def known(table: Mapping[str, Any], name: str, what: str) -> Any:
    """The table's entry, or BadInput with the names that exist: "no encoder 'transfomer'. Did you mean …"."""
    if name not in table:
        raise BadInput(f"There is no {what} '{name}'.{nearest(name, table)} There are: {', '.join(table)}.")
    return table[name]


def worded(words: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE words of a command line as settings by key; a value is JSON where it can be, else the words it is."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise BadInput(f"--set takes KEY=VALUE, such as encoder.layers=2, not '{word}'.")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
