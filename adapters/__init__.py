"""Systems under test that come with sagafuzz."""

from __future__ import annotations

BUILT_IN = {
    "reference": "sagafuzz.adapters.reference:Reference",
    "reference-sqlite": "sagafuzz.adapters.reference:ReferenceOnSQLite",
    "reference-postgres": "sagafuzz.adapters.reference_postgres:ReferenceOnPostgres",
    "reference-redis": "sagafuzz.adapters.reference_redis:ReferenceOnRedis",
    "choreography": "sagafuzz.adapters.choreography:Choreography",
    "two-phase-commit": "sagafuzz.adapters.two_phase_commit:TwoPhaseCommit",
    "seed": "sagafuzz.adapters.seed:Seed",
    "simple-saga": "sagafuzz.adapters.simple_saga:SimpleSagaCheckout",
    "dbos": "dbos.toml",
    "dbos-hardened": "dbos-hardened.toml",
    "dbos-postgres": "dbos-postgres.toml",
    "dbos-ts": "dbos-ts.toml",
    "dbos-ts-hardened": "dbos-ts-hardened.toml",
    "temporal": "temporal.toml",
    "temporal-server": "temporal-server.toml",
    "restate": "restate.toml",
    "restate-server": "restate-server.toml",
    "absurd": "absurd.toml",
    "celery": "celery.toml",
    "celery-hardened": "celery-hardened.toml",
    "celery-saga": "celery-saga.toml",
    "dtm": "dtm.toml",
    "dtm-server": "dtm-server.toml",
    "lra": "lra.toml",
    "taskflow": "taskflow.toml",
    "taskflow-hardened": "taskflow-hardened.toml",
}
"""The names of the built-in adapters and where each is: a class, or the manifest of a live system beside this file."""

ZOO_MODULE = "sagafuzz.adapters.zoo"
"""Where the mutants are: dozens of classes, imported only for who asks for one."""
