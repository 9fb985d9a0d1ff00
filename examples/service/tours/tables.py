from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Tour(Base):
    __tablename__ = "tours"
    id: Mapped[str] = mapped_column(primary_key=True)
    seats: Mapped[int]
    price: Mapped[int]
    state: Mapped[str] = mapped_column(default="booking")  # booking, undoing, booked, dropped
