#!/usr/bin/env bash
# Brings PostgreSQL's own regression SQL into DIR/regress: from the Debian source package of the version that psql is,
# by a private apt configuration. The files stay in the cache; none of them is part of this project.
set -euo pipefail

dir=$(realpath -m "${1:?usage: fetch-postgres-source.sh DIR}")
[ -d "$dir/regress/sql" ] && exit 0
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
  | sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  | grep -E '/debian/?$' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
{
  echo "deb-src [signed-by=$keyring] $mirror $release main"
  echo "deb-src [signed-by=$keyring] $mirror $release-updates main"
} > "$work/sources.list"
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
(cd "$work" && apt-get -qq --download-only source "postgresql-${2:-15}")
mkdir -p "$dir"
tar -xf "$work"/postgresql-*.orig.tar.* -C "$work" --wildcards '*/src/test/regress/*'
mv "$work"/postgresql-*/src/test/regress "$dir/regress"
