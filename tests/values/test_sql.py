"""What is read out of SQL: what a statement changes, and which text makes it durable."""

from __future__ import annotations

import pytest

from sagafuzz.sql import SqlTransaction, change, statements


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("INSERT INTO steps VALUES (1)", "INSERT steps"),
        ("insert or replace into steps values (1)", "INSERT steps"),
        ("REPLACE INTO steps VALUES (1)", "INSERT steps"),
        (
            'INSERT INTO "dbos"."workflow status" (a) VALUES (1) ON CONFLICT DO UPDATE SET a = 2',
            "INSERT workflow status",
        ),
        ("UPDATE ONLY a.b AS x SET y = 1", "UPDATE b"),
        ("DELETE FROM steps", "DELETE steps"),
        ("MERGE INTO steps USING other ON true WHEN MATCHED THEN DELETE", "MERGE steps"),
        ("WITH gone AS (DELETE FROM steps RETURNING *) SELECT * FROM gone", "DELETE steps"),
        ("WITH one AS (SELECT 1) UPDATE steps SET n = 1", "UPDATE steps"),
        ("COPY steps (a, b) FROM STDIN", "COPY steps"),
        ("TRUNCATE TABLE steps", "TRUNCATE steps"),
        ("CREATE UNIQUE INDEX i ON steps (n)", "CREATE INDEX"),
        ("DROP TABLE steps", "DROP TABLE"),
        ("SELECT * FROM steps FOR UPDATE", ""),
        ("SELECT 1; -- UPDATE steps SET n = 1", ""),
        ("COPY steps TO STDOUT", ""),
        ("SAVEPOINT a", ""),
        ("", ""),
    ],
)
def test_what_a_statement_changes(sql: str, what: str) -> None:
    assert [change(statement) for statement in statements(sql)][:1] == ([what] if sql else [])


def test_statements_end_at_semicolons_that_are_none_of_a_string_or_comment() -> None:
    text = "SELECT ';''x;' /* ; */; INSERT INTO a VALUES ($tag$ ; $tag$) -- ;\n; "
    assert [change(statement) for statement in statements(text)] == ["", "INSERT a"]


@pytest.mark.parametrize(
    ("texts", "durable"),
    [
        (["INSERT INTO a VALUES (1)"], ["INSERT a"]),
        (["BEGIN", "INSERT INTO a VALUES (1)", "UPDATE b SET n = 1", "COMMIT"], ["INSERT a", "UPDATE b"]),
        (["BEGIN; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); END"], ["INSERT a"]),
        (["START TRANSACTION", "DELETE FROM a", "ROLLBACK", "COMMIT"], []),
        (["BEGIN", "DELETE FROM a", "SAVEPOINT s", "ROLLBACK TO s", "COMMIT"], ["DELETE a"]),
        (["BEGIN", "DELETE FROM a", "PREPARE TRANSACTION 'x'"], ["DELETE a"]),
        (["COPY a FROM STDIN"], []),
        (["BEGIN", "COPY a FROM STDIN", "COMMIT"], ["COPY a"]),
        (["BEGIN", "SELECT 1", "COMMIT"], []),
    ],
)
def test_what_becomes_durable(texts: list[str], durable: list[str]) -> None:
    transaction = SqlTransaction()
    assert [what for text in texts for what in transaction.run(text)] == durable
    assert not transaction.open


def test_what_a_failed_transaction_wrote_is_lost() -> None:
    transaction = SqlTransaction()
    transaction.run("BEGIN; INSERT INTO a VALUES (1)")
    transaction.settle(is_open=False, failed=True)
    assert transaction.open and transaction.run("COMMIT") == ()
