# Perl's DBI over DBD::Pg, DBD::mysql or DBD::MariaDB (the first argument); one JSON line a step.
use strict;
use warnings;
use utf8;
use DBI;
use JSON::PP;
use Time::HiRes qw(ualarm);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $target = $json->decode($ENV{CORDON_CLIENT});
my $text = $target->{steps};
my $postgres = $target->{dialect} eq 'postgres';
my $driver = shift;
$| = 1;

my ($dsn, %options) = ("dbi:$driver:");
if ($driver eq 'Pg') {
    $dsn .= "host=$target->{host};port=$target->{port};dbname=$target->{database};sslmode=prefer";
    %options = (pg_enable_utf8 => 1);
} elsif ($driver eq 'mysql') {
    $dsn .= "host=$target->{host};port=$target->{port};database=$target->{database};mysql_server_prepare=1";
    # No TLS: over MariaDB's library it refuses to ask for any.
    %options = (mysql_enable_utf8mb4 => 1);
} else {
    $dsn .= "host=$target->{host};port=$target->{port};database=$target->{database};mariadb_server_prepare=1";
    $dsn .= ";mariadb_ssl=1;mariadb_ssl_ca_file=$target->{ca}" if $target->{ca};
}
my $handle = DBI->connect($dsn, $target->{user}, $target->{password},
    { RaiseError => 1, PrintError => 0, AutoCommit => 1, %options });

sub step {
    my ($name, $action) = @_;
    my $value = eval { $action->() };
    if ($@) {
        my $code = $postgres ? $handle->state : $handle->err;
        print $json->encode({ step => $name, error => "$code", message => "$@" }), "\n";
    } else {
        print $json->encode({ step => $name, value => $value }), "\n";
    }
}

sub rows {
    my ($name, @values) = @_;
    my $statement = $handle->prepare($text->{$name});
    $statement->execute(@values);
    return $statement->fetchall_arrayref;
}

for my $name (qw(types rows masked)) { step($name, sub { rows($name) }) }
step('prepared', sub {
    my $statement = $handle->prepare($text->{prepared});
    return [map { $statement->execute($_); $statement->fetchall_arrayref } 1, 3, 1];
});
step('masked_prepared', sub { rows('masked_prepared', 1) });
step('parameters', sub { rows('parameters', "it's \\ ż", 42, undef) });
step('large', sub { local $handle->{LongReadLen} = 4_000_000; [map { [map { length } @$_] } @{ rows('large') }] });
step('large_parameter', sub { rows('large_parameter', 'y' x 900_000) });
step('many', sub { my $all = rows('many'); [scalar @$all, $all->[0], $all->[-1]] });
for my $name (qw(error syntax after derived)) { step($name, sub { rows($name) }) }
$handle->begin_work;
step('insert', sub { [$handle->do($text->{insert}), rows('count')] });
$handle->rollback;
$handle->begin_work;
step('insert_prepared', sub {
    my $statement = $handle->prepare($text->{insert_prepared});
    [$statement->execute($postgres ? '777.5' : 'p@example.org'), rows('count')];
});
$handle->rollback;
step('rolled_back', sub { rows('count') });
if ($driver eq 'Pg') {
    step('sleep', sub {
        my $statement = $handle->prepare($text->{sleep}, { pg_async => 1 });
        $statement->execute;
        select undef, undef, undef, 0.4;
        return [$handle->pg_cancel ? 'cancelled' : 'too late'];
    });
}
my $table = $postgres ? 'customers' : 'contacts';
step('metadata_tables', sub { [map { join '.', map { $_ // '' } @$_[1, 2, 3] } @{ $handle->table_info(undef, $postgres ? 'public' : undef, '%', 'TABLE')->fetchall_arrayref }] });
step('metadata_columns', sub { [map { [map { defined $_ ? "$_" : undef } @$_[2 .. 6, 10, 12, 16]] } @{ $handle->column_info(undef, $postgres ? 'public' : undef, $table, '%')->fetchall_arrayref }] });
step('metadata_keys', sub { [$handle->primary_key(undef, $postgres ? 'public' : undef, $table)] });
step('metadata_foreign', sub {
    my $found = $postgres
      ? $handle->foreign_key_info(undef, undef, undef, undef, 'public', 'orders')
      : $handle->foreign_key_info(undef, undef, undef, undef, $target->{database}, 'contacts');
    return $found ? scalar @{ $found->fetchall_arrayref } : 'none';
});
step('metadata_statistics', sub {
    my $found = $handle->statistics_info(undef, $postgres ? 'public' : undef, $table, 0, 0);
    return $found ? scalar @{ $found->fetchall_arrayref } : 'none';
});
step('metadata_types', sub { scalar @{ $handle->type_info_all } });
step('ping', sub { $handle->ping ? 1 : 0 });
step('end', sub { rows('after') });
$handle->disconnect;
