#!/bin/sh
# One training process per core. Usage: run.sh PYTHON CORES [train.py options]
# Keeping freed memory in the process saves a page fault for every large activation.
PYTHON=$1; CORES=$2; shift 2
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false MASTER_ADDR=127.0.0.1 MASTER_PORT=${MASTER_PORT:-29517} GLOO_SOCKET_IFNAME=lo
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=100000000
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
cd "$(dirname "$0")" || exit 1
r=0
while [ "$r" -lt "$CORES" ]; do
    "$PYTHON" train.py --rank "$r" --world "$CORES" "$@" &
    r=$((r + 1))
done
wait
