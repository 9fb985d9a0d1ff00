"""A usual service, as its users have it: FastAPI, SQLAlchemy on aiosqlite, httpx. It knows nothing of sagafuzz."""
