"""ORMs of sync code on SQLite, in a service as it is: what they commit is a crash point, and is there after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import django
import django.db
import peewee
import pytest
from django.conf import settings

from sagafuzz import service
from sagafuzz.ports import ADAPTER_ATTRIBUTE

from .conftest import Laboratory
from .test_service import PAIR, ROUTES, trial
from .test_wsgi import declared

if not settings.configured:  # as in the recipe of Django: a Python process has one configuration
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "loans.db"}}
    settings.configure(ROOT_URLCONF="django_loans", DATABASES=databases, ALLOWED_HOSTS=["loans"])
    django.setup()


class Note(django.db.models.Model):
    text = django.db.models.TextField()

    class Meta:
        app_label = "notes"
        db_table = "notes"


database = peewee.SqliteDatabase("notes.db")


class Memo(peewee.Model):
    text = peewee.TextField()

    class Meta:
        database = database
        table_name = "notes"


class ORM(NamedTuple):
    create: Callable[[], object]
    add: Callable[[str], object]
    texts: Callable[[], list[str]]
    undone: Callable[[], object]
    broken: type[Exception]
    file: str


def create_notes() -> None:
    with django.db.connection.schema_editor() as editor:
        editor.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT)")


def add_memo(text: str) -> None:
    with database.atomic(), database.atomic():
        Memo.create(text=text)


def add_note(text: str) -> None:
    with django.db.transaction.atomic(), django.db.transaction.atomic():
        Note.objects.create(text=text)


def undone_note() -> None:
    with django.db.transaction.atomic():
        Note.objects.create(text="undone")
        django.db.transaction.set_rollback(True)


def undone_memo() -> None:
    with database.atomic() as transaction:
        Memo.create(text="undone")
        transaction.rollback()


ORMS = {
    "django": ORM(
        create_notes,
        add_note,
        lambda: [*Note.objects.values_list("text", flat=True)],
        undone_note,
        django.db.OperationalError,
        "loans.db",
    ),
    "peewee": ORM(
        lambda: database.create_tables([Memo]),
        add_memo,
        lambda: [memo.text for memo in Memo.select()],
        undone_memo,
        peewee.OperationalError,
        "notes.db",
    ),
}


@pytest.mark.parametrize("orm", ORMS.values(), ids=ORMS)
@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("crash-before-log", []),
        ("crash-after-log", ["saga-1"]),
        ("store-error-before-commit", []),
        ("store-error-after-commit", ["saga-1"]),
    ],
)
def test_what_an_orm_commits_is_there_after_a_crash_or_an_error(orm: ORM, kind: str, kept: list[str]) -> None:
    found: list[list[str]] = []
    failed: list[object] = []

    def start() -> None:
        orm.create()
        found.append(orm.texts())

    def handler(order: str) -> str:
        orm.undone()
        try:
            orm.add(order)
        except orm.broken as error:
            failed.append(error)
            found.append(orm.texts())
        return ""

    adapter = declared(handler, start)
    for _ in range(2):  # each run begins with nothing
        seen = Laboratory().trial(adapter, f"{kind} '{orm.file}: insert notes'")
        assert found == [[], kept] and len(failed) == kind.startswith("store"), seen.raised
        found.clear()
        failed.clear()


EARLY = """
from django.db import connection

with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS early (id INTEGER)")

def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
"""


def test_django_may_ask_its_database_when_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "early_django.py").write_text(EARLY)

    class Early:
        app = "early_django:app"

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Early)
    seen = trial(getattr(made, ADAPTER_ATTRIBUTE))
    assert seen.answers == ["completed"] and [event.data[0] for event in seen.of("LOGACK")] == [
        "loans.db: create early"
    ]
