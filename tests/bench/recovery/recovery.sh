#!/usr/bin/env bash
# recovery.sh BENCH_RECOVERY SET FEATURES.npy GROUPS.npy RATIO LARGEST [labels]: five orders of one set, a line of JSON a
# way, to be collected in one file for recovery.py. How FEATURES.npy is made:
#	evenkeel scan DATASET -o RUN && evenkeel embed RUN && bench_recovery_views RUN 5 0 FEATURES.npy
set -euo pipefail
program=$1 name=$2
shift 2
for order in 0 1 2 3 4; do
	"$program" "$1" "$2" "$3" "$order" "$4" ${5:+"$5"} | sed "s/^{/{\"set\":\"$name\",/"
done
