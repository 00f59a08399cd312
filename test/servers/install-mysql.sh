#!/usr/bin/env bash
# Brings a MySQL server and client into DIR/root without touching the system: Debian's stable releases carry
# only MariaDB, so the packages of its development suite are fetched by a private apt configuration and unpacked.
set -euo pipefail

dir=$(realpath -m "${1:?usage: install-mysql.sh DIR}")
[ -x "$dir/root/usr/sbin/mysqld" ] && exit 0
for program in apt-get dpkg; do
  command -v "$program" > /dev/null || { echo "install-mysql.sh: needs $program (Debian or Ubuntu)" >&2; exit 1; }
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || { echo "install-mysql.sh: $keyring is missing (package debian-archive-keyring)" >&2; exit 1; }

# The mirror that this machine already uses, if its sources name one.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
  | sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  | grep -E '/debian/?$' | head -n 1 || true)

mkdir -p "$dir"
work=$(mktemp -d "$dir/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/root
: > "$work/status"
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} sid main" > "$work/sources.list"
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
apt-get -qq -y --download-only install mysql-server-core mysql-client-core
unset APT_CONFIG
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done

# Last, so that an interrupted run leaves nothing that looks finished.
rm -rf "$dir/root"
mv "$work/root" "$dir/root"
