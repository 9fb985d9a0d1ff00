"""What is read out of a server's SQL: what a statement changes, and which text makes it durable."""

from __future__ import annotations

import pytest

from sagafuzz.sql import Defined, Effect, Transaction, effects


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("INSERT INTO steps VALUES (1)", "insert steps"),
        ("insert into Steps values (1)", "insert steps"),
        ("REPLACE INTO steps VALUES (1)", "insert steps"),
        (
            'INSERT INTO "dbos"."workflow status" (a) VALUES (1) ON CONFLICT DO UPDATE SET a = 2',
            "insert workflow status",
        ),
        ("UPDATE ONLY a.b AS x SET y = 1", "update b"),
        ("DELETE FROM ONLY steps", "delete steps"),
        ("MERGE INTO steps USING other ON true WHEN MATCHED THEN DELETE", "merge steps"),
        ("WITH gone AS (DELETE FROM steps RETURNING *) SELECT * FROM gone", "delete steps"),
        ("WITH one AS (SELECT 1) UPDATE steps SET n = 1", "update steps"),
        ("WITH RECURSIVE a (n) AS NOT MATERIALIZED (SELECT 1), b AS (SELECT 2) INSERT INTO s.t TABLE a", "insert t"),
        ("WITH update AS (SELECT 1 FOR UPDATE) SELECT * FROM update", None),
        ("-- name: AddStep :exec\nINSERT INTO steps VALUES (1)", "insert steps"),
        ("/* a /* nested */ one */ UPDATE steps SET n = 1", "update steps"),
        ("COPY steps (a, b) FROM STDIN", "copy steps"),
        ("TRUNCATE TABLE steps", "truncate steps"),
        ("CALL accounts.transfer(1, 2)", "call transfer"),
        ("SELECT a INTO steps FROM others", "create steps"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON steps (n)", "create i"),
        ("CREATE INDEX ON steps (n)", "create steps"),
        ("CREATE TABLE IF NOT EXISTS public.steps (n int)", "create steps"),
        ("ALTER TABLE ONLY steps ADD n int", "alter steps"),
        ("DROP TABLE steps", "drop steps"),
        ("CREATE TEMP TABLE steps (n int)", None),
        ("SELECT * FROM steps FOR UPDATE", None),
        ("SELECT 1 -- UPDATE steps SET n = 1", None),
        ("SELECT 'x'' ; INSERT INTO steps'", None),
        (r"SELECT E'\'; INSERT INTO steps --'", None),
        ("SELECT $tag$ $$; INSERT INTO steps $tag$", None),
        ('SELECT "insert" FROM "into"', None),
        ("COPY steps TO STDOUT", None),
        ("COPY (SELECT * FROM steps) TO STDOUT", None),
        ("PREPARE one AS INSERT INTO steps VALUES ($1)", None),
    ],
)
def test_what_a_statement_changes(sql: str, what: str | None) -> None:
    (effect,) = effects(sql)
    assert effect.kind == "prepare" or effect.changes == (() if what is None else (what,))


def test_a_statement_may_change_several_things() -> None:
    sql = "WITH gone AS (DELETE FROM a RETURNING *), kept AS (SELECT 1) INSERT INTO b SELECT * FROM gone"
    assert effects(sql) == (Effect("change", ("delete a", "insert b")),)


def test_statements_end_at_semicolons_that_are_none_of_a_string_comment_or_function() -> None:
    text = """SELECT ';''x;' /* ; */; INSERT INTO a VALUES ($tag$ ; $tag$) -- ;
    ; CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; DELETE FROM a; END; UPDATE b SET n = 1; """
    assert [effect.changes for effect in effects(text)] == [(), ("insert a",), ("create f",), ("update b",)]


@pytest.mark.parametrize("text", ["", " -- x", "/* never closed", ";;", "-- a\n;"])
def test_a_text_without_a_statement(text: str) -> None:
    assert effects(text) == ()


@pytest.mark.parametrize(
    "text", ["INSERT", "WITH", "COPY", "CREATE", "UPDATE (", "'never closed", "$$ never", "ROLLBACK TO"]
)
def test_what_is_no_sql_is_no_error(text: str) -> None:
    assert len(effects(text)) == 1


@pytest.mark.parametrize(
    ("texts", "durable"),
    [
        (["INSERT INTO a VALUES (1)"], ["insert a"]),
        (["BEGIN", "INSERT INTO a VALUES (1)", "UPDATE b SET n = 1", "COMMIT"], ["insert a", "update b"]),
        (["BEGIN; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); END"], ["insert a"]),
        (["START TRANSACTION", "DELETE FROM a", "ROLLBACK", "COMMIT"], []),
        (
            ["BEGIN", "DELETE FROM a", "SAVEPOINT s", "INSERT INTO a VALUES (1)", "ROLLBACK TO s", "COMMIT"],
            ["delete a"],
        ),
        (["BEGIN", "SAVEPOINT s", "DELETE FROM a", "RELEASE SAVEPOINT s", "COMMIT"], ["delete a"]),
        (["BEGIN", "SAVEPOINT s", "DELETE FROM a", "ROLLBACK TO SAVEPOINT S", "DELETE FROM b", "COMMIT"], ["delete b"]),
        (["SAVEPOINT s", "DELETE FROM a", "SAVEPOINT t", "RELEASE t", "RELEASE s"], ["delete a"]),
        (["SAVEPOINT s", "SAVEPOINT s", "DELETE FROM a", "RELEASE s", "ROLLBACK TO s", "RELEASE s"], []),
        (["BEGIN", "DELETE FROM a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'"], ["delete a"]),
        (["PREPARE one AS DELETE FROM a", "EXECUTE one(1)"], ["delete a"]),
        (["COPY a FROM STDIN"], []),
        (["BEGIN", "COPY a FROM STDIN", "COMMIT"], ["copy a"]),
        (["BEGIN", "SELECT 1", "COMMIT"], []),
    ],
)
def test_what_becomes_durable(texts: list[str], durable: list[str]) -> None:
    transaction = Transaction()
    assert [what for text in texts for what in transaction.run(text)] == durable
    assert not transaction.open


def test_what_is_defined_on_condition_is_a_change_where_it_is_not_known_to_be_there() -> None:
    defined = Defined()
    make, drop = "CREATE TABLE IF NOT EXISTS steps (n int)", "DROP TABLE IF EXISTS public.steps"

    def durable(text: str, *, committed: bool = True) -> tuple[str, ...]:
        changes = Transaction(defined).run(text)
        defined.committed(changes if committed else ())
        return changes

    assert durable(make, committed=False) == ("create steps",)
    assert durable(make) == ("create steps",), "the first was not committed"
    assert durable(make) == ()
    assert durable(f"BEGIN; {make}; INSERT INTO steps VALUES (1); COMMIT") == ("insert steps",)
    assert durable("CREATE INDEX IF NOT EXISTS i ON steps (n)") == ("create i",)
    assert durable(drop) == ("drop steps",)
    assert durable(drop) == ()
    assert durable(make) == ("create steps",)
    assert durable("CREATE TABLE steps (n int)") == ("create steps",), "without a condition it is one, or an error"


def test_what_a_failed_transaction_wrote_is_lost() -> None:
    transaction = Transaction()
    transaction.run("BEGIN; INSERT INTO a VALUES (1)")
    transaction.settle(is_open=True, failed=True)
    assert transaction.open and transaction.run("COMMIT") == ()


def test_one_that_failed_goes_on_from_a_savepoint_with_what_it_had_written() -> None:
    transaction = Transaction()
    transaction.run("BEGIN; INSERT INTO a VALUES (1); SAVEPOINT s; INSERT INTO b VALUES (1)")
    transaction.settle(is_open=True, failed=True)
    transaction.run("ROLLBACK TO s")
    assert transaction.run("COMMIT") == ("insert a",)
