<?php
// PHP's PDO over pgsql or mysql; one JSON line a step.
$target = json_decode(getenv('CORDON_CLIENT'), true);
$text = $target['steps'];
$postgres = $target['dialect'] === 'postgres';
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION];
$dsn = "host={$target['host']};port={$target['port']};dbname={$target['database']}";
if (!$postgres) {
    $dsn .= ';charset=utf8mb4';
    if ($target['ca']) {
        $options[PDO::MYSQL_ATTR_SSL_CA] = $target['ca'];
    }
}
$connection = new PDO(($postgres ? 'pgsql:' : 'mysql:') . $dsn . ($postgres ? ';sslmode=prefer' : ''), $target['user'], $target['password'], $options);

function step(string $name, callable $action): void
{
    try {
        $line = ['step' => $name, 'value' => $action()];
    } catch (PDOException $error) {
        $code = $GLOBALS['postgres'] ? $error->getCode() : ($error->errorInfo[1] ?? $error->getCode());
        $line = ['step' => $name, 'error' => (string) $code, 'message' => $error->getMessage()];
    }
    array_walk_recursive($line, function (&$item) {
        if (is_resource($item)) {
            $item = stream_get_contents($item);
        }
        if (is_string($item) && !preg_match('//u', $item)) {
            $item = 'bytes:' . bin2hex($item);
        }
    });
    echo json_encode($line, JSON_THROW_ON_ERROR), "\n";
}

function rows(string $text, ...$values): array
{
    $statement = $GLOBALS['connection']->prepare($text);
    $statement->execute($values);
    return $statement->fetchAll(PDO::FETCH_NUM);
}

foreach ([false, true] as $emulated) {
    $connection->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    $kind = $emulated ? 'emulated_' : '';
    foreach (['types', 'rows', 'masked'] as $name) {
        step($kind . $name, fn () => $connection->query($text[$name])->fetchAll(PDO::FETCH_NUM));
    }
    step($kind . 'prepared', function () use ($connection, $text) {
        $statement = $connection->prepare($text['prepared']);
        $all = [];
        foreach ([1, 3, 1] as $first) {
            $statement->execute([$first]);
            $all[] = $statement->fetchAll(PDO::FETCH_NUM);
        }
        return $all;
    });
    step($kind . 'masked_prepared', fn () => rows($text['masked_prepared'], 1));
    step($kind . 'parameters', fn () => rows($text['parameters'], "it's \\ ż", 42, null));
    step($kind . 'large_parameter', fn () => rows($text['large_parameter'], str_repeat('y', 900000)));
}
step('large', fn () => array_map(fn ($row) => array_map('strlen', $row), rows($text['large'])));
step('many', function () use ($text) {
    $all = rows($text['many']);
    return [count($all), $all[0], end($all)];
});
foreach (['error', 'syntax', 'after', 'derived'] as $name) {
    step($name, fn () => $connection->query($text[$name])->fetchAll(PDO::FETCH_NUM));
}
$connection->beginTransaction();
step('insert', fn () => [$connection->exec($text['insert']), rows($text['count'])]);
$connection->rollBack();
$connection->beginTransaction();
step('insert_prepared', function () use ($connection, $text, $postgres) {
    $statement = $connection->prepare($text['insert_prepared']);
    $statement->execute([$postgres ? '777.5' : 'p@example.org']);
    return [$statement->rowCount(), rows($text['count'])];
});
$connection->rollBack();
step('rolled_back', fn () => rows($text['count']));
step('metadata_column', function () use ($connection, $text) {
    $statement = $connection->query($text['rows']);
    $all = [];
    for ($index = 0; $index < $statement->columnCount(); $index++) {
        $all[] = $statement->getColumnMeta($index);
    }
    return array_map(fn ($meta) => array_diff_key($meta, ['pgsql:table_oid' => 1, 'pgsql:oid' => 1]), $all);
});
step('end', fn () => rows($text['after']));
