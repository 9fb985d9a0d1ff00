"""The reference orchestrator on PostgreSQL."""

from __future__ import annotations

from ..ports import adapter
from ..reference_saga.stores.postgres import PostgresStore
from .reference import OPTIONS
from .servers import ReferenceOnServer


class SessionStore(PostgresStore):
    """In temporary tables: no other session sees them, and they go with this one."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(f"{conninfo} options=-csearch_path=pg_temp")

    def empty(self) -> None:
        self._ask(lambda connection: connection.execute("DELETE FROM sagas"))


@adapter(name="reference-postgres", **OPTIONS)
class ReferenceOnPostgres(ReferenceOnServer):
    """The same on its PostgreSQL store, on the server that SAGAFUZZ_POSTGRES names."""

    variable = "SAGAFUZZ_POSTGRES"
    example = "host=127.0.0.1 port=5432 user=postgres dbname=postgres"
    open_store = SessionStore
