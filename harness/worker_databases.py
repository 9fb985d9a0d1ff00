"""A fresh database for each case, for a live worker whose engine needs tables of its own: they are made once, in a
template, by the command ``build`` of the manifest, and copied for the case."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

TEMPLATE: Final = "engine_template"


def sqlite_template(build: str) -> str:
    """The file in which ``build`` is to make the tables, in the folder of {build}."""
    return str(Path(build) / f"{TEMPLATE}.sqlite")


def fresh_sqlite(build: str, name: str = "engine.sqlite") -> str:
    """The case's copy of the template in {build}: its path. It appears when it is whole."""
    folder = Path(os.environ["SAGAFUZZ_DIR"])
    file = folder / name
    if not file.exists():
        copy = folder / f"{os.getpid()}-{name}"
        shutil.copy(sqlite_template(build), copy)
        copy.rename(file)
    return str(file)


def template_url(place: str) -> str:
    """The URL of the database in which ``build`` is to make the tables: ``place`` is the folder of {build}, or the URL
    of a PostgreSQL server."""
    return f"{place}/{TEMPLATE}" if place.startswith("postgresql:") else f"sqlite:///{sqlite_template(place)}"


def fresh_url(place: str, direct: str = "") -> str:
    """The URL of the case's copy of it; ``direct`` leads to the server past its proxy."""
    server = place.startswith("postgresql:")
    return f"{place}/{fresh_postgres(direct or place)}" if server else f"sqlite:///{fresh_sqlite(place)}"


def fresh_postgres(direct: str) -> str:
    """The name of the case's copy of the database `TEMPLATE`, on the server at the URL ``direct``: past the proxy, so
    that no site is in it."""
    import psycopg
    from psycopg import errors, sql

    name = Path(os.environ["SAGAFUZZ_DIR"]).name.lower()
    with psycopg.connect(f"{direct}/postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, TEMPLATE)))
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # by one that was killed as it waited
                connection.execute(copy)
    return name
