/* JDBC over pgjdbc or MariaDB Connector/J; one JSON line a step. The target comes as plain variables of the environment. */
import java.sql.*;
import java.util.*;

public final class Jdbc {
    interface Action { Object run() throws Exception; }

    static Connection connection;
    static final Map<String, String> env = System.getenv();
    static final boolean postgres = env.get("CORDON_DIALECT").equals("postgres");

    static String text(String name) { return env.get("CORDON_STEP_" + name); }

    static String quoted(String value) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 32) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }

    static String json(Object value) throws Exception {
        if (value == null) return "null";
        if (value instanceof Integer || value instanceof Long || value instanceof Boolean) return value.toString();
        if (value instanceof byte[]) return quoted("bytes:" + HexFormat.of().formatHex((byte[]) value));
        if (value instanceof java.sql.Array) return json(Arrays.asList((Object[]) ((java.sql.Array) value).getArray()));
        if (value instanceof Collection) {
            StringJoiner joined = new StringJoiner(",", "[", "]");
            for (Object item : (Collection<?>) value) joined.add(json(item));
            return joined.toString();
        }
        if (value instanceof String) return quoted((String) value);
        return quoted(value.getClass().getSimpleName() + ":" + value);
    }

    static void step(String name, Action action) throws Exception {
        String line;
        try {
            line = "\"value\":" + json(action.run());
        } catch (SQLException error) {
            String code = postgres ? error.getSQLState() : String.valueOf(error.getErrorCode());
            line = "\"error\":" + quoted(String.valueOf(code)) + ",\"message\":" + quoted(String.valueOf(error.getMessage()));
        }
        System.out.println("{\"step\":" + quoted(name) + "," + line + "}");
    }

    static List<Object> rows(ResultSet found) throws SQLException {
        int columns = found.getMetaData().getColumnCount();
        List<Object> all = new ArrayList<>();
        while (found.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= columns; i++) row.add(found.getObject(i));
            all.add(row);
        }
        found.close();
        return all;
    }

    static List<Object> query(String name) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(text(name)));
        }
    }

    static List<Object> metadata(ResultSet found) throws SQLException {
        List<Object> all = rows(found);
        return all;
    }

    static List<Object> prepared(String name, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(text(name))) {
            for (int i = 0; i < values.length; i++) {
                if (values[i] == null) statement.setNull(i + 1, Types.VARCHAR);
                else statement.setObject(i + 1, values[i]);
            }
            return rows(statement.executeQuery());
        }
    }

    public static void main(String[] args) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        connection = DriverManager.getConnection(env.get("CORDON_URL"), env.get("CORDON_USER"), env.get("CORDON_PASSWORD"));
        for (String name : List.of("types", "rows", "masked")) step(name, () -> query(name));
        for (String name : List.of("prepared", "masked_prepared")) {
            step(name, () -> {
                List<Object> all = new ArrayList<>();
                // pgjdbc names the statement, and takes binary results, from the fifth time on.
                try (PreparedStatement statement = connection.prepareStatement(text(name))) {
                    for (int first : new int[] {1, 3, 1, 3, 1, 3, 1}) {
                        statement.setInt(1, first);
                        all.add(rows(statement.executeQuery()));
                    }
                }
                return all;
            });
        }
        step("parameters", () -> prepared("parameters", "it's \\ ż", 42, null));
        step("large", () -> {
            List<Object> row = (List<Object>) query("large").get(0);
            return List.of(row.get(0).toString().length(), row.get(1));
        });
        step("large_parameter", () -> prepared("large_parameter", "y".repeat(900_000)));
        step("many", () -> {
            List<Object> all = query("many");
            return List.of(all.size(), all.get(0), all.get(all.size() - 1));
        });
        for (String name : List.of("error", "syntax", "after", "derived")) step(name, () -> query(name));
        connection.setAutoCommit(false);
        step("fetch_size", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                return rows(statement.executeQuery(text("many"))).size();
            }
        });
        connection.rollback();
        step("masked_fetch_size", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(2);
                return rows(statement.executeQuery(text("masked")));
            }
        });
        connection.rollback();
        step("insert", () -> {
            try (Statement statement = connection.createStatement()) {
                return List.of(statement.executeUpdate(text("insert")), query("count"));
            }
        });
        connection.rollback();
        step("insert_prepared", () -> {
            try (PreparedStatement statement = connection.prepareStatement(text("insert_prepared"))) {
                for (int i = 0; i < 3; i++) {
                    if (postgres) statement.setBigDecimal(1, new java.math.BigDecimal("777.5"));
                    else statement.setString(1, "p" + i + "@example.org");
                    statement.addBatch();
                }
                int sum = 0;
                for (int count : statement.executeBatch()) sum += count == Statement.SUCCESS_NO_INFO ? 1 : count;
                return List.of(sum, query("count"));
            } catch (BatchUpdateException error) {
                throw error.getNextException() == null ? error : error.getNextException();
            }
        });
        connection.rollback();
        step("savepoint", () -> {
            Savepoint point = connection.setSavepoint("here");
            connection.rollback(point);
            return query("after");
        });
        connection.rollback();
        connection.setAutoCommit(true);
        step("rolled_back", () -> query("count"));
        step("read_only", () -> {
            connection.setReadOnly(true);
            List<Object> all = query("after");
            connection.setReadOnly(false);
            return all;
        });
        step("isolation", () -> {
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            int found = connection.getTransactionIsolation();
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            return found;
        });
        step("sleep", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                return rows(statement.executeQuery(text("sleep")));
            }
        });
        step("valid", () -> connection.isValid(5));
        metadataSteps();
        step("end", () -> query("after"));
        connection.close();
    }

    static void metadataSteps() throws Exception {
        DatabaseMetaData meta = connection.getMetaData();
        String catalog = postgres ? null : "crm";
        String schema = postgres ? "public" : null;
        String table = postgres ? "customers" : "contacts";
        String other = postgres ? "orders" : "contacts";
        step("metadata_product", () -> meta.getDatabaseProductName());
        step("metadata_tables", () -> rows(meta.getTables(catalog, schema, "%", new String[] {"TABLE", "VIEW"})));
        step("metadata_all_tables", () -> rows(meta.getTables(catalog, schema, "%", null)).size() > 0);
        step("metadata_columns", () -> rows(meta.getColumns(catalog, schema, table, "%")));
        step("metadata_primary", () -> rows(meta.getPrimaryKeys(catalog, schema, table)));
        step("metadata_imported", () -> rows(meta.getImportedKeys(catalog, schema, other)));
        step("metadata_exported", () -> rows(meta.getExportedKeys(catalog, schema, table)));
        step("metadata_cross", () -> rows(meta.getCrossReference(catalog, schema, table, catalog, schema, other)));
        // Cardinality is the server's estimate of the moment.
        step("metadata_indexes", () -> rows(meta.getIndexInfo(catalog, schema, table, false, true)).size());
        step("metadata_schemas", () -> rows(meta.getSchemas()).size() > -1);
        step("metadata_catalogs", () -> rows(meta.getCatalogs()).size() > 0);
        step("metadata_types", () -> rows(meta.getTypeInfo()).size() > 0);
        step("metadata_table_types", () -> rows(meta.getTableTypes()));
        step("metadata_procedures", () -> rows(meta.getProcedures(catalog, schema, "%")).size());
        step("metadata_functions", () -> rows(meta.getFunctions(catalog, schema, "%")).size());
        step("metadata_privileges", () -> rows(meta.getTablePrivileges(catalog, schema, table)).size() >= 0);
        step("metadata_column_privileges", () -> rows(meta.getColumnPrivileges(catalog, schema, table, "%")).size() >= 0);
        step("metadata_best_row", () -> rows(meta.getBestRowIdentifier(catalog, schema, table, DatabaseMetaData.bestRowSession, true)));
        step("metadata_version_columns", () -> rows(meta.getVersionColumns(catalog, schema, table)).size());
        step("metadata_udts", () -> rows(meta.getUDTs(catalog, schema, "%", null)).size());
        step("metadata_client_info", () -> rows(meta.getClientInfoProperties()).size() >= 0);
        step("metadata_keywords", () -> meta.getSQLKeywords().length() > 10);
        step("metadata_functions_list", () -> meta.getNumericFunctions().length() > 10);
        everyMethod(meta, catalog, schema, table);
        step("metadata_result", () -> {
            try (PreparedStatement statement = connection.prepareStatement(text("prepared"))) {
                ResultSetMetaData columns = statement.getMetaData();
                List<Object> all = new ArrayList<>();
                for (int i = 1; i <= columns.getColumnCount(); i++) {
                    all.add(List.of(columns.getColumnName(i), columns.getColumnTypeName(i), columns.getTableName(i), columns.isNullable(i), columns.isAutoIncrement(i)));
                }
                return all;
            }
        });
        step("metadata_parameters", () -> {
            try (PreparedStatement statement = connection.prepareStatement(text("prepared"))) {
                return statement.getParameterMetaData().getParameterCount();
            }
        });
    }

    /** Each method of the interface in a step of its own: how many rows, or what value. */
    static void everyMethod(DatabaseMetaData meta, String catalog, String schema, String table) throws Exception {
        java.lang.reflect.Method[] methods = DatabaseMetaData.class.getMethods();
        Arrays.sort(methods, Comparator.comparing(java.lang.reflect.Method::toString));
        // They say where the connection goes, as whom, and who answers.
        Set<String> own = Set.of("getConnection", "getURL", "getUserName", "getDatabaseProductVersion", "unwrap", "isWrapperFor");
        for (java.lang.reflect.Method method : methods) {
            if (own.contains(method.getName())) continue;
            Class<?>[] types = method.getParameterTypes();
            Object[] values = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                if (types[i] == int.class) values[i] = DatabaseMetaData.bestRowSession;
                else if (types[i] == boolean.class) values[i] = true;
                else if (types[i] == String.class) values[i] = i % 3 == 0 ? catalog : i % 3 == 1 ? schema : table;
            }
            step("metadata_" + method.getName() + "_" + types.length, () -> {
                try {
                    Object found = method.invoke(meta, values);
                    return found instanceof ResultSet ? (Object) rows((ResultSet) found).size() : String.valueOf(found);
                } catch (java.lang.reflect.InvocationTargetException error) {
                    if (error.getCause() instanceof SQLException) throw (SQLException) error.getCause();
                    return error.getCause().toString();
                }
            });
        }
    }
}
