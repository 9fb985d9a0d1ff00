from sqlalchemy import JSON
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class OrderRow(Base):
    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(primary_key=True)
    sku: Mapped[str]
    qty: Mapped[int]
    cents: Mapped[int]
    status: Mapped[str] = mapped_column(default="running")
    done: Mapped[list[str]] = mapped_column(JSON, default=list)
