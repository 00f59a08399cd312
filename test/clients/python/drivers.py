"""Python's drivers, named by the first argument, each through the steps in its own way of connecting."""
import asyncio
import sys
import threading

from steps import IS_POSTGRES, LARGE, TARGET, TEXT, attempt, dbapi, digest, large_digest, report

HOST, PORT, USER, PASSWORD, DATABASE = (TARGET[key] for key in ("host", "port", "user", "password", "database"))


def cancelling(cancel):
    """Calls `cancel` from another thread while the statement runs."""

    def run(action):
        timer = threading.Timer(0.5, cancel)
        timer.start()
        try:
            return action()
        finally:
            timer.cancel()

    return run


def psycopg2_():
    import psycopg2

    connection = psycopg2.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE, sslmode="prefer")
    connection.autocommit = True
    dbapi(
        connection,
        lambda error: getattr(error, "pgcode", type(error).__name__),
        cancel=cancelling(connection.cancel),
        autocommit=lambda on: setattr(connection, "autocommit", on),
    )

    def named():
        connection.autocommit = False
        with connection.cursor("walk") as cursor:
            cursor.itersize = 3
            cursor.execute(TEXT["rows"])
            return [list(row) for row in cursor]

    attempt("named_cursor", named, lambda error: error.pgcode)
    connection.rollback()


def psycopg_():
    import psycopg

    connection = psycopg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE, autocommit=True)
    code = lambda error: getattr(error, "sqlstate", None) or type(error).__name__
    # A row of the same text five times becomes a prepared statement; binary results are asked for below.
    dbapi(
        connection,
        code,
        cancel=cancelling(connection.cancel),
        autocommit=lambda on: setattr(connection, "autocommit", on),
    )

    def binary():
        with connection.cursor(binary=True) as cursor:
            text = TEXT["masked_prepared"].replace("?", "%s")
            return [
                [list(row) for row in cursor.execute(text, (first,), prepare=True).fetchall()] for first in (1, 3, 1)
            ]

    attempt("binary", binary, code)

    def pipeline():
        with connection.pipeline():
            cursors = [connection.execute(TEXT["prepared"].replace("?", "%s"), (first,)) for first in (1, 2, 3)]
        return [[list(row) for row in cursor.fetchall()] for cursor in cursors]

    attempt("pipeline", pipeline, code)

    def named():
        with connection.transaction(), connection.cursor("walk") as cursor:
            cursor.execute(TEXT["rows"])
            return [list(row) for row in cursor.fetchmany(2)] + [list(row) for row in cursor.fetchall()]

    attempt("named_cursor", named, code)


def asyncpg_():
    asyncio.run(asyncpg_steps())


async def asyncpg_steps():
    import asyncpg

    connection = await asyncpg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE)
    code = lambda error: getattr(error, "sqlstate", None) or type(error).__name__

    async def step(name, action):
        try:
            value, failure = await action(), None
        except Exception as error:
            failure = error

        def result():
            if failure is not None:
                raise failure
            return value

        attempt(name, result, code)

    async def run(text, *values):
        for number in range(1, len(values) + 1):
            text = text.replace("?", f"${number}", 1)
        return [list(row) for row in await connection.fetch(text, *values)]

    for name in ("types", "rows", "masked"):
        await step(name, lambda: run(TEXT[name]))

    async def several():
        statement = await connection.prepare(TEXT["prepared"].replace("?", "$1"))
        return [[list(row) for row in await statement.fetch(first)] for first in (1, 3, 1)]

    await step("prepared", several)
    await step("masked_prepared", lambda: run(TEXT["masked_prepared"], 1))
    await step("parameters", lambda: run(TEXT["parameters"], "it's \\ ż", 42, None))

    async def digested(make, text, *values):
        return make(await run(text, *values))

    await step("large", lambda: digested(large_digest, TEXT["large"]))
    await step("large_parameter", lambda: run(TEXT["large_parameter"], LARGE))
    await step("many", lambda: digested(digest, TEXT["many"]))
    for name in ("error", "syntax", "after", "derived"):
        await step(name, lambda: run(TEXT[name]))

    async def insert():
        transaction = connection.transaction()
        await transaction.start()
        try:
            return [await connection.execute(TEXT["insert"]), await run(TEXT["count"])]
        finally:
            await transaction.rollback()

    await step("insert", insert)
    await step("rolled_back", lambda: run(TEXT["count"]))

    async def walk():
        async with connection.transaction():
            return [list(row) async for row in connection.cursor(TEXT["rows"], prefetch=2)]

    await step("cursor", walk)

    async def many():
        async with connection.transaction():
            text = TEXT["insert_prepared"].replace("?", "$1")
            await connection.executemany(text, [(777,), (777,)])
            counted = await run(TEXT["count"])
            raise RuntimeError(str(counted))

    await step("executemany", many)
    await step("sleep", lambda: connection.fetch(TEXT["sleep"], timeout=0.5))
    await step("arrays", lambda: run("SELECT CAST(? AS integer[]), CAST(? AS jsonb)", [1, 2], '{"a": 1}'))
    await step("end", lambda: run(TEXT["after"]))
    await connection.close()


def pymysql_():
    import ssl

    import pymysql

    connection = pymysql.connect(
        **mysql_arguments(), ssl=ssl.create_default_context(cafile=TARGET["ca"]) if TARGET["ca"] else None
    )
    dbapi(connection, lambda error: error.args[0], autocommit=connection.autocommit, cancel=killing(connection, pymysql.connect, True))


def mysqldb_():
    import MySQLdb

    tls = {"ssl": {"ca": TARGET["ca"]}} if TARGET["ca"] else {}
    arguments = mysql_arguments()
    connection = MySQLdb.connect(**arguments, **tls)
    code = lambda error: error.args[0]
    dbapi(connection, code, autocommit=connection.autocommit)

    def run(text):
        with connection.cursor() as cursor:
            cursor.execute(text)
            return [list(row) for row in cursor.fetchall()] if cursor.description else None

    def change_user():
        run("SET @mine = 5")
        connection.change_user(USER, PASSWORD, DATABASE)
        return [run("SELECT @mine"), run(TEXT["rows"])]

    attempt("change_user", change_user, code)


def mysql_arguments():
    return dict(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, charset="utf8mb4", autocommit=True)


def killing(connection, connect, with_tls):
    """KILL QUERY over a second connection, by the id that the first one was greeted with."""
    import ssl

    def cancel():
        tls = {"ssl": ssl.create_default_context(cafile=TARGET["ca"])} if with_tls and TARGET["ca"] else {}
        side = connect(**mysql_arguments(), **tls)
        side.cursor().execute(f"KILL QUERY {connection.thread_id()}")
        side.close()

    return cancelling(cancel)


def pyodbc_():
    import pyodbc

    if IS_POSTGRES:
        text = f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={PORT};Database={DATABASE};Uid={USER};Pwd={PASSWORD};SSLmode=prefer;UseServerSidePrepare=1"
    else:
        tls = f";SSLCA={TARGET['ca']};FORCETLS=1" if TARGET["ca"] else ""
        text = f"Driver={{MariaDB Unicode}};Server={HOST};Port={PORT};Database={DATABASE};Uid={USER};Pwd={PASSWORD}{tls}"
    connection = pyodbc.connect(text, autocommit=True)
    dbapi(connection, lambda error: error.args[0], placeholder="?", autocommit=lambda on: setattr(connection, "autocommit", on))
    code = lambda error: error.args[0]
    table, other = ("customers", "orders") if IS_POSTGRES else ("contacts", "contacts")

    def catalog(name, *arguments, **named):
        def run():
            cursor = connection.cursor()
            found = [list(row) for row in getattr(cursor, name)(*arguments, **named).fetchall()]
            # Statistics are the server's estimate of the moment.
            return len(found) if name == "statistics" else found

        attempt(f"metadata_{name}", run, code)

    catalog("tables")
    catalog("columns", table=table)
    catalog("primaryKeys", table)
    catalog("foreignKeys", other)
    catalog("statistics", table)
    catalog("rowIdColumns", table)
    catalog("getTypeInfo")
    catalog("procedures")
    report("metadata_information", [connection.getinfo(pyodbc.SQL_DBMS_NAME)])


def sqlalchemy_():
    import sqlalchemy
    from sqlalchemy import orm

    if IS_POSTGRES:
        urls = {
            "psycopg2": (f"postgresql+psycopg2://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}", {}),
        }
    else:
        tls = {"ssl": {"ca": TARGET["ca"]}} if TARGET["ca"] else {}
        urls = {
            "pymysql": (f"mysql+pymysql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}?charset=utf8mb4", tls),
            "mysqldb": (f"mysql+mysqldb://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}?charset=utf8mb4", tls),
        }
    for driver, (url, arguments) in urls.items():
        engine = sqlalchemy.create_engine(url, connect_args=arguments)
        alchemy_steps(driver, engine, sqlalchemy, orm)
        engine.dispose()
    report("end", True)


def alchemy_steps(driver, engine, sqlalchemy, orm):
    def code(error):
        original = getattr(error, "orig", error)
        return getattr(original, "pgcode", None) or (original.args or [type(error).__name__])[0]

    def step(name, action):
        attempt(f"{driver}_{name}", action, code)

    table = "customers" if IS_POSTGRES else "contacts"

    def text(name):
        def run():
            with engine.connect() as connection:
                return [list(row) for row in connection.execute(sqlalchemy.text(TEXT[name]))]

        return run

    for name in ("types", "rows", "masked", "error", "derived"):
        step(name, text(name))
    inspector = sqlalchemy.inspect(engine)
    step("metadata_schemas", inspector.get_schema_names)
    step("metadata_tables", lambda: sorted(inspector.get_table_names()))
    step("metadata_views", inspector.get_view_names)
    for name in ("get_columns", "get_pk_constraint", "get_foreign_keys", "get_indexes", "get_unique_constraints", "get_check_constraints", "get_table_comment", "get_table_options"):
        for of in (table, "orders" if IS_POSTGRES else "campaigns"):
            step(f"metadata_{name}_{of}", lambda: plain_metadata(getattr(inspector, name)(of)))

    def reflect():
        metadata = sqlalchemy.MetaData()
        metadata.reflect(bind=engine)
        return sorted(metadata.tables)

    step("metadata_reflect", reflect)

    class Base(orm.DeclarativeBase if hasattr(orm, "DeclarativeBase") else object):
        pass

    base = orm.declarative_base()

    class Order(base):
        __tablename__ = "orders" if IS_POSTGRES else "contacts"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        if IS_POSTGRES:
            customer_id = sqlalchemy.Column(sqlalchemy.Integer)
            product_id = sqlalchemy.Column(sqlalchemy.Integer)
            card_number = sqlalchemy.Column(sqlalchemy.String)
            amount = sqlalchemy.Column(sqlalchemy.Numeric)
            placed_at = sqlalchemy.Column(sqlalchemy.DateTime(timezone=True))
        else:
            name = sqlalchemy.Column(sqlalchemy.String(120))
            email = sqlalchemy.Column(sqlalchemy.String(190))
            notes = sqlalchemy.Column(sqlalchemy.Text)
            created_at = sqlalchemy.Column(sqlalchemy.DateTime)

    def entities():
        with orm.Session(engine) as session:
            found = session.query(Order).order_by(Order.id).limit(3).all()
            return [[getattr(one, column.name) for column in Order.__table__.columns] for one in found]

    step("masked_entities", entities)

    def unit_of_work():
        import datetime

        with orm.Session(engine) as session:
            when = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
            if IS_POSTGRES:
                one = Order(customer_id=1, product_id=1, card_number="4000000000000002", amount=777, placed_at=when)
            else:
                one = Order(name="Transient", email="t@example.org", created_at=when.replace(tzinfo=None))
            session.add(one)
            session.flush()
            counted = session.execute(sqlalchemy.text(TEXT["count"])).scalar()
            session.delete(one)
            session.flush()
            after = session.execute(sqlalchemy.text(TEXT["count"])).scalar()
            session.rollback()
            return [counted, after]

    step("insert", unit_of_work)


def plain_metadata(value):
    return str(value)


globals()[sys.argv[1] + "_"]()
