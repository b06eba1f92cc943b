#!/bin/sh
# Sets a database up as POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB say, and serves it with the
# arguments as further settings. As in the official image, nothing listens before the set-up is done, and
# standard output says "ready" before standard error does.
set -eu

data=/var/lib/postgresql/data
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ "${1-}" = postgres ]; then shift; fi
for programs in /usr/lib/postgresql/*/bin; do PATH=$PATH:$programs; done

if [ ! -e $data/PG_VERSION ]; then
    if [ -z "${POSTGRES_PASSWORD-}" ]; then
        echo "POSTGRES_PASSWORD is not set" >&2
        exit 1
    fi
    initdb --pgdata=$data --username="$user" --pwfile=/dev/fd/3 --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync 3<<END
$POSTGRES_PASSWORD
END
    echo "host all all all scram-sha-256" >>$data/pg_hba.conf
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$database\"" | postgres --single -D $data postgres
    fi
    echo "set up; database system is ready to accept connections after the next start"
fi

exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
