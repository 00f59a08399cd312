#!/bin/sh
# Puts MariaDB's own test files into a folder of this machine: the Debian packages are unpacked, nothing is installed.
# They are GPL, so they stay outside of the repository. Argument: the folder.
set -eu
folder=$1
if [ -d "$folder/mysql-test/main" ]; then exit 0; fi
mkdir -p "$folder/packages"
cd "$folder/packages"
apt-get download mariadb-test-data
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
mv unpacked/usr/share/mysql/mysql-test ..
rm -rf "$folder/packages"
