#!/bin/sh
# Makes .env with passwords and keys of this installation's own. What is there is never overwritten.
#   ./prepare.sh             one Kafka server
#   ./prepare.sh --quorum    three, so that one may be lost
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo ".env is there already; its keys open what is stored: remove it only together with the volumes" >&2
    exit 1
fi
case "${1:-}" in
    "") files=compose.yaml servers=kafka:9092 replication=1 in_sync=1 ;;
    --quorum)
        files=compose.yaml:compose.quorum.yaml servers=kafka:9092,kafka-2:9092,kafka-3:9092 replication=3 in_sync=2
        ;;
    *)
        echo "usage: ./prepare.sh [--quorum]" >&2
        exit 2
        ;;
esac
base64_of() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
# Safe in addresses: letters, digits, - and _.
plain_of() { base64_of "$1" | tr '+/' '-_' | tr -d '='; }
umask 077
cat >.env <<END
COMPOSE_FILE=$files
# Where the ports are published; 0.0.0.0 for everybody, best behind a proxy with TLS.
BIND_ADDRESS=127.0.0.1
PUBLIC_URL=http://localhost:31080
OWNER_EMAIL=owner@example.com
OWNER_PASSWORD=$(plain_of 15)
MYSQL_PASSWORD=$(plain_of 24)
SECRET_KEY=$(base64_of 32)
SERVICE_KEY=$(plain_of 32)
KAFKA_CLUSTER_ID=$(plain_of 16)
KAFKA_SERVERS=$servers
KAFKA_REPLICATION=$replication
KAFKA_MIN_IN_SYNC=$in_sync
END
echo ".env is made; the owner is owner@example.com, the password stands in .env as OWNER_PASSWORD"
