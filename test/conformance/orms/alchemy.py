"""SQLAlchemy: create_all, the unit of work, relations, upserts, JSON, pagination, locks, the inspector and reflection."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../clients/python"))
import sqlalchemy as sa  # noqa: E402
from sqlalchemy import orm  # noqa: E402
from sqlalchemy.dialects import mysql, postgresql  # noqa: E402
from steps import IS_POSTGRES, TARGET, attempt, report  # noqa: E402

MODE = os.environ["CORDON_ORM"]
USER, PASSWORD, HOST, PORT, DATABASE = (TARGET[key] for key in ("user", "password", "host", "port", "database"))
if IS_POSTGRES:
    engine = sa.create_engine(f"postgresql+psycopg2://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}")
else:
    tls = {"ssl": {"ca": TARGET["ca"]}} if TARGET["ca"] else {}
    engine = sa.create_engine(f"mysql+pymysql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}?charset=utf8mb4", connect_args=tls)
Base = orm.declarative_base()


class Author(Base):
    __tablename__ = "o_author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(60), nullable=False, unique=True, comment="how they sign")
    email = sa.Column(sa.String(90))
    doc = sa.Column(sa.JSON().with_variant(postgresql.JSONB, "postgresql"))
    kind = sa.Column(sa.Enum("poet", "critic", name="o_kind"), server_default="poet")
    books = orm.relationship("Book", back_populates="author", order_by="Book.id", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "o_book"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("o_author.id", ondelete="CASCADE"))
    title = sa.Column(sa.String(60), nullable=False, index=True)
    price = sa.Column(sa.Numeric(8, 2), server_default="0")
    author = orm.relationship(Author, back_populates="books")
    __table_args__ = (sa.CheckConstraint("price >= 0", name="o_book_price"), {"comment": "what is read"})


def code(error):
    original = getattr(error, "orig", error)
    return getattr(original, "pgcode", None) or (original.args or [type(error).__name__])[0]


def step(name):
    def run(action):
        attempt(name, action, code)
        return action

    return run


def metadata(value):
    if isinstance(value, dict):
        return {key: metadata(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [metadata(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


if MODE != "read":
    step("create_all")(lambda: Base.metadata.create_all(engine))
    step("create_again")(lambda: Base.metadata.create_all(engine, checkfirst=True))

    @step("flush")
    def _():
        with orm.Session(engine) as session:
            ada = Author(name="Ada", email="ada@example.org", doc={"likes": ["tea"], "deep": {"n": 1}})
            ada.books = [Book(title="Book 1", price=10), Book(title="Book 2", price=20)]
            session.add_all([ada, Author(name="Bo", email="bo@example.org", books=[Book(title="Book 3")])])
            session.commit()
            return [ada.id, [book.id for book in ada.books]]

    @step("upsert")
    def _():
        values = {"name": "Bo", "email": "bo2@example.org"}
        with engine.begin() as connection:
            if IS_POSTGRES:
                insert = postgresql.insert(Author).values(values)
                insert = insert.on_conflict_do_update(index_elements=["name"], set_={"email": insert.excluded.email})
                return connection.execute(insert.returning(Author.id)).scalar()
            insert = mysql.insert(Author).values(values)
            return connection.execute(insert.on_duplicate_key_update(email=insert.inserted.email)).rowcount >= 1

    @step("many")
    def _():
        with engine.begin() as connection:
            rows = [{"title": f"Many {n}", "author_id": 2} for n in range(20)]
            return connection.execute(sa.insert(Book), rows).rowcount

    @step("bulk_update")
    def _():
        with orm.Session(engine) as session:
            changed = session.execute(sa.update(Book).where(Book.title.like("Many%")).values(price=Book.price + 2), execution_options={"synchronize_session": False})
            gone = session.execute(sa.delete(Book).where(Book.title.like("Many 1%")), execution_options={"synchronize_session": "fetch"})
            session.commit()
            return [changed.rowcount, gone.rowcount]

    @step("lock")
    def _():
        with orm.Session(engine) as session:
            book = session.execute(sa.select(Book).where(Book.id == 1).with_for_update(of=Book if IS_POSTGRES else None)).scalar_one()
            session.execute(sa.select(Book.id).with_for_update(read=True).where(Book.id == 2)).all()
            if IS_POSTGRES:
                session.execute(sa.select(Book.id).with_for_update(skip_locked=True).where(Book.id == 2)).all()
            with session.begin_nested():
                book.price = 11
            session.commit()
            return book.title

    @step("serializable")
    def _():
        with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(Book)).scalar()


def with_session(action):
    def run():
        with orm.Session(engine) as session:
            return action(session)

    return run


step("page")(with_session(lambda s: [list(row) for row in s.execute(sa.select(Book.id, Book.title).order_by(Book.id.desc()).limit(2).offset(1))]))
step("joined_load")(with_session(lambda s: [[a.name, a.email, [b.title for b in a.books]] for a in s.scalars(sa.select(Author).options(orm.joinedload(Author.books)).order_by(Author.id)).unique()]))
step("select_in_load")(with_session(lambda s: [[a.name, [b.title for b in a.books]] for a in s.scalars(sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id))]))
step("subquery_load")(with_session(lambda s: [[a.name, len(a.books)] for a in s.scalars(sa.select(Author).options(orm.subqueryload(Author.books)).order_by(Author.id))]))
step("lazy")(with_session(lambda s: [b.author.name for b in s.scalars(sa.select(Book).order_by(Book.id).limit(3))]))
step("aggregates")(with_session(lambda s: [list(row) for row in s.execute(sa.select(Book.author_id, sa.func.count(), sa.func.sum(Book.price)).group_by(Book.author_id).having(sa.func.count() > 0).order_by(Book.author_id))]))
step("window")(with_session(lambda s: [list(row) for row in s.execute(sa.select(Book.id, sa.func.row_number().over(partition_by=Book.author_id, order_by=Book.id)).order_by(Book.id))]))
step("with")(with_session(lambda s: [list(row) for row in s.execute(sa.select(sa.select(Book.id.label("i")).where(Book.price > 5).cte("dear").c.i).order_by("i"))]))
step("exists")(with_session(lambda s: s.scalars(sa.select(Author.name).where(Author.books.any(Book.price > 5)).order_by(Author.name)).all()))
step("union")(with_session(lambda s: [list(row) for row in s.execute(sa.union_all(sa.select(Author.id), sa.select(Book.id)).order_by("id"))]))
step("json")(with_session(lambda s: s.scalars(sa.select(Author.id).where(Author.doc["deep"]["n"].as_integer() == 1)).all()))
step("in")(with_session(lambda s: s.scalars(sa.select(Book.id).where(Book.id.in_([1, 2, 99]), sa.tuple_(Book.id, Book.author_id).in_([(1, 1), (2, 1)])).order_by(Book.id)).all()))
step("stream")(with_session(lambda s: len(s.execute(sa.select(Book.id), execution_options={"yield_per": 2}).all())))

inspector = sa.inspect(engine)
for name in ("get_schema_names", "get_view_names", "get_table_names"):
    step(name)(lambda: sorted(getattr(inspector, name)()))
for name in ("get_columns", "get_pk_constraint", "get_foreign_keys", "get_indexes", "get_unique_constraints", "get_check_constraints", "get_table_comment", "get_table_options"):
    step(name)(lambda: [metadata(getattr(inspector, name)(table)) for table in ("o_author", "o_book")])
if IS_POSTGRES:
    step("get_enums")(lambda: inspector.get_enums())
    step("get_sequences")(lambda: inspector.get_sequence_names())


@step("reflect")
def _():
    found = sa.MetaData()
    found.reflect(bind=engine, views=True)
    return sorted(name for name in found.tables if name.startswith("o_"))


step("has_table")(lambda: [inspector.has_table("o_author"), inspector.has_table("o_none")])
if MODE == "all":
    step("drop_all")(lambda: Base.metadata.drop_all(engine))
report("end", True)
