#!/usr/bin/env bash
# Brings PostgreSQL 15's own test suites into DIR, ready to be run: the regression SQL with its C functions built, the isolation specs
# and libpq's pipeline test built. From Debian's source package of the installed version, by a private apt configuration. The
# files stay in the cache; none of them is part of this project. Needs gcc, libpq-dev and postgresql-15.
set -euo pipefail

dir=$(realpath -m "${1:?usage: fetch-postgres-suites.sh DIR}")
version=$(dpkg-query -W -f '${Version}' postgresql-15)
[ "$(cat "$dir/version" 2> /dev/null || true)" = "$version" ] && exit 0
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
  | sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  | grep -E '/debian/?$' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
for kind in deb deb-src; do
  echo "$kind [signed-by=$keyring] $mirror $release main"
  echo "$kind [signed-by=$keyring] $mirror $release-updates main"
  echo "$kind [signed-by=$keyring] ${mirror%/}-security $release-security main"
done > "$work/sources.list"
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial
cat > "$work/apt.conf" << CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$work";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update
(
  cd "$work"
  apt-get -qq --download-only source "postgresql-15=$version"
  apt-get -qq download "postgresql-server-dev-15=$version"
)
tar -xf "$work"/postgresql-*.orig.tar.* -C "$work" \
  --wildcards '*/src/test/regress/*' '*/src/test/isolation/*' '*/src/test/modules/libpq_pipeline/*'
dpkg-deb -x "$work"/postgresql-server-dev-15_*.deb "$work/headers"
tests=$(echo "$work"/postgresql-15.*/src/test)

rm -rf "$dir"
mkdir -p "$dir/lib"
mv "$tests/regress" "$tests/isolation" "$tests/modules/libpq_pipeline" "$dir/"
flags=(-O1 -w -I"$work/headers/usr/include/postgresql/15/server" -I/usr/include/postgresql/internal -I/usr/include/postgresql)
gcc "${flags[@]}" -shared -fPIC -o "$dir/lib/regress.so" "$dir/regress/regress.c"
gcc "${flags[@]}" -o "$dir/libpq_pipeline/libpq_pipeline" "$dir/libpq_pipeline/libpq_pipeline.c" \
  -L"$work/headers/usr/lib/postgresql/15/lib" -lpq -lpgcommon -lpgport -lm
for library in refint autoinc; do ln -s "/usr/lib/postgresql/15/lib/$library.so" "$dir/lib/$library.so"; done
chmod -R a+rX "$dir"
echo "$version" > "$dir/version"
