#!/usr/bin/env bash
# Brings psql and pg_dump of newer PostgreSQL majors into DIR/SUITE, each with the libraries it needs, without touching the
# system: by a private apt configuration, from Debian's suites that carry them.
set -euo pipefail

dir=$(realpath -m "${1:?usage: fetch-psql.sh DIR SUITE}")
suite=${2:?usage: fetch-psql.sh DIR SUITE}
[ -x "$dir/$suite/run" ] && exit 0
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
  | sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  | grep -E '/debian/?$' | head -n 1 || true)
mkdir -p "$dir"
work=$(mktemp -d "$dir/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/root
: > "$work/status"
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" > "$work/sources.list"
cat > "$work/apt.conf" << CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$work";
Dir::State::Lists "$work/lists";
Dir::State::Status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
apt-get -qq -y --download-only install postgresql-client
unset APT_CONFIG
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done

# The programs run by their own loader and libraries: those of this machine may be older.
cat > "$work/root/run" << 'RUN'
#!/usr/bin/env bash
root=$(dirname "$(realpath "$0")")
program=$1
shift
loader=$(ls "$root"/lib64/ld-linux-*.so.2 "$root"/usr/lib64/ld-linux-*.so.2 2> /dev/null | head -n 1)
lib=$(dirname "$(ls "$root"/usr/lib/*/libpq.so.5)")
exec "$loader" --library-path "$lib:$root${lib#"$root/usr"}" "$root"/usr/lib/postgresql/*/bin/"$program" "$@"
RUN
chmod +x "$work/root/run"
rm -rf "${dir:?}/$suite"
mv "$work/root" "$dir/$suite"
