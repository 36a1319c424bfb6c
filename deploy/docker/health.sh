#!/bin/sh
# HEALTHCHECK of the image: does the daemon of this container answer? A namenode that waits in safe mode for its
# datanodes is healthy: they come after it. Other commands of the image are not judged.
set -eu

export DOLMEN_CONNECT_TIMEOUT_MS=4000 DOLMEN_RPC_TIMEOUT_MS=4000

runs() { grep -qsx "$1" /proc/[0-9]*/comm; }

if runs dolmen-namenode; then
  exec dolmen dfsadmin -fs dolmen://localhost:7020 -safemode get
elif runs dolmen-datanode; then
  exec dolmen dfsadmin -getDatanodeInfo localhost:7066
fi
