"""What every Python client does with its connection, and how it reports: one JSON line a step."""
import json
import os
import sys

TARGET = json.loads(os.environ["CORDON_CLIENT"])
TEXT = TARGET["steps"]
IS_POSTGRES = TARGET["dialect"] == "postgres"
LARGE = "y" * 900_000


def plain(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes:" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    return f"{type(value).__name__}:{value}"


def report(step, value):
    print(json.dumps({"step": step, "value": plain(value)}), flush=True)


def attempt(step, action, code_of):
    try:
        report(step, action())
    except Exception as error:  # every driver has its own kinds
        print(json.dumps({"step": step, "error": str(code_of(error)), "message": str(error)[:2000]}), flush=True)


def digest(rows):
    """Of a result too long to print."""
    return [len(rows), plain(list(rows[0])), plain(list(rows[-1])), sum(len(str(row[1])) for row in rows)]


def large_digest(rows):
    return [[len(value) for value in row] for row in rows]


def dbapi(connection, code_of, placeholder="%s", cancel=None, autocommit=None, arguments=tuple):
    """The steps over PEP 249. `autocommit(bool)` switches it; the connection comes with it on."""

    def run(text, *values):
        cursor = connection.cursor()
        try:
            if values:
                cursor.execute(text.replace("?", placeholder), arguments(values))
            else:
                cursor.execute(text)
            return [list(row) for row in cursor.fetchall()] if cursor.description else cursor.rowcount
        finally:
            cursor.close()

    def step(name, action):
        attempt(name, action, code_of)

    for name in ("types", "rows", "masked"):
        step(name, lambda: run(TEXT[name]))
    step("prepared", lambda: [run(TEXT["prepared"], first) for first in (1, 3, 1)])
    step("masked_prepared", lambda: run(TEXT["masked_prepared"], 1))
    step("parameters", lambda: run(TEXT["parameters"], "it's \\ ż", 42, None))
    step("large", lambda: large_digest(run(TEXT["large"])))
    step("large_parameter", lambda: run(TEXT["large_parameter"], LARGE))
    step("many", lambda: digest(run(TEXT["many"])))
    for name in ("error", "syntax", "after", "derived"):
        step(name, lambda: run(TEXT[name]))

    autocommit(False)

    def insert(name, *values):
        inserted = run(TEXT[name], *values)
        return [inserted, run(TEXT["count"])]

    step("insert", lambda: insert("insert"))
    connection.rollback()
    step("insert_prepared", lambda: insert("insert_prepared", 777.5 if IS_POSTGRES else "p@example.org"))
    connection.rollback()
    step("rolled_back", lambda: run(TEXT["count"]))
    step("in_transaction_error", lambda: run(TEXT["error"]))
    step("in_transaction_after", lambda: run(TEXT["after"]))
    connection.rollback()
    autocommit(True)
    if cancel is not None:
        step("sleep", lambda: cancel(lambda: run(TEXT["sleep"])))
    step("end", lambda: run(TEXT["after"]))
    sys.stdout.flush()
