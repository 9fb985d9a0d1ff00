from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Charge(Base):
    __tablename__ = "charges"
    id: Mapped[int] = mapped_column(primary_key=True)
    tour: Mapped[str] = mapped_column(index=True)


class Seen(Base):
    __tablename__ = "seen"
    key: Mapped[str] = mapped_column(primary_key=True)
